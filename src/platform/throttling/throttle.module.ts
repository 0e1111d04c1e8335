import { Global, Module } from '@nestjs/common';
import { CallerLimitGuard } from './caller-limit.guard.js';
import { RateLimiterFactory } from './rate-limiter-factory.js';
import { RateLimitResponder } from './rate-limit-responder.js';
import { ThrottleGuard } from './throttle.guard.js';
import { WrongSignatures } from './attempts/wrong-signatures.js';

@Global()
@Module({
  providers: [CallerLimitGuard, RateLimiterFactory, RateLimitResponder, ThrottleGuard, WrongSignatures],
  exports: [CallerLimitGuard, RateLimiterFactory, RateLimitResponder, ThrottleGuard, WrongSignatures],
})
export class ThrottleModule {}
