import { Global, Module } from '@nestjs/common';
import { UsersModule } from '../../users/users.module.js';
import { AttemptLimiter } from './attempt-limiter.js';

@Global()
@Module({ imports: [UsersModule], providers: [AttemptLimiter], exports: [AttemptLimiter] })
export class AttemptsModule {}
