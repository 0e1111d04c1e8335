import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiProblems } from '../api/api-problems.decorator.js';
import type { Duration } from '../settings/duration.js';

export interface RateLimitOptions {
  /** Requests of one caller to this route, on this instance. */
  limit: number;
  per: Duration;
}

export const RateLimitedRoute = Reflector.createDecorator<RateLimitOptions>();

/**
 * Limits the requests of each caller, for routes of the access tier. It counts in the memory of this process, without
 * I/O. Behind a load balancer, each instance allows that many. For a limit across all instances use `@Throttled()`.
 */
export function RateLimit(options: RateLimitOptions) {
  return applyDecorators(RateLimitedRoute(options), ApiProblems('request.rate_limited'));
}
