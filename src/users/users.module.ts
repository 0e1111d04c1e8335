import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { UserProfile } from './profile/profile.entity.js';
import { ProfilesService } from './profile/profiles.service.js';
import { User } from './user.entity.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([User, UserProfile])],
  controllers: [UsersController],
  providers: [ProfilesService, UsersService],
  exports: [ProfilesService, UsersService],
})
export class UsersModule {}
