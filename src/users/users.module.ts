import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { UserProfile } from './profile/profile.entity.js';
import { ProfileRepository } from './profile/profile.repository.js';
import { ProfilesService } from './profile/profiles.service.js';
import { User } from './user.entity.js';
import { UsersController } from './users.controller.js';
import { UserRepository } from './user.repository.js';

@Global()
@Module({
  imports: [TypeOrmModule.forFeature([User, UserProfile])],
  controllers: [UsersController],
  providers: [ProfileRepository, ProfilesService, UserRepository],
  exports: [ProfilesService, UserRepository],
})
export class UsersModule {}
