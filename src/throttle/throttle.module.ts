import { Global, Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.js';
import { CallerLimitGuard } from './caller-limit.guard.js';
import { Guesses } from './guesses.js';
import { Limiters } from './limiters.js';
import { Refusals } from './refusals.js';
import { ThrottleGuard } from './throttle.guard.js';
import { WrongSignatures } from './wrong-signatures.js';

@Global()
@Module({
  imports: [UsersModule],
  providers: [CallerLimitGuard, Guesses, Limiters, Refusals, ThrottleGuard, WrongSignatures],
  exports: [CallerLimitGuard, Guesses, Refusals, ThrottleGuard, WrongSignatures],
})
export class ThrottleModule {}
