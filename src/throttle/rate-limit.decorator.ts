import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiProblems } from '../common/api-problems.decorator.js';
import type { Duration } from '../common/duration.js';

export interface RateLimitOptions {
  /** Requests of one caller to this route, on this instance. */
  limit: number;
  per: Duration;
}

export const RateLimitedRoute = Reflector.createDecorator<RateLimitOptions>();

/**
 * So many requests per caller, counted in this process alone, without I/O: for routes of the access tier. Behind a load balancer each
 * instance lets as many through. What must hold for all of them together is `@Throttled()`.
 */
export function RateLimit(options: RateLimitOptions) {
  return applyDecorators(RateLimitedRoute(options), ApiProblems('request.rate_limited'));
}
