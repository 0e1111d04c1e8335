import { Global, Module } from '@nestjs/common';
import { UsersModule } from '../../users/users.module.js';
import { CallerLimitGuard } from './caller-limit.guard.js';
import { AttemptLimiter } from './attempts/attempt-limiter.js';
import { RateLimiterFactory } from './rate-limiter-factory.js';
import { RateLimitResponder } from './rate-limit-responder.js';
import { ThrottleGuard } from './throttle.guard.js';
import { WrongSignatures } from './attempts/wrong-signatures.js';

@Global()
@Module({
  imports: [UsersModule],
  providers: [
    CallerLimitGuard,
    AttemptLimiter,
    RateLimiterFactory,
    RateLimitResponder,
    ThrottleGuard,
    WrongSignatures,
  ],
  exports: [CallerLimitGuard, AttemptLimiter, RateLimitResponder, ThrottleGuard, WrongSignatures],
})
export class ThrottleModule {}
