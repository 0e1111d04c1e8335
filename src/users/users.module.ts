import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Clock } from '../common/clock.js';
import { RevocationDatabase } from '../database/revocation-database.js';
import { User } from './user.entity.js';
import { RevocationTransactions, UserTransactions } from './user-transactions.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([User])],
  controllers: [UsersController],
  providers: [
    UsersService,
    {
      provide: UserTransactions,
      inject: [DataSource, Clock],
      useFactory: (database: DataSource, clock: Clock) => new UserTransactions(database, clock),
    },
    {
      provide: RevocationTransactions,
      inject: [RevocationDatabase, Clock],
      useFactory: (database: DataSource, clock: Clock) => new RevocationTransactions(database, clock),
    },
  ],
  exports: [RevocationTransactions, UsersService, UserTransactions],
})
export class UsersModule {}
