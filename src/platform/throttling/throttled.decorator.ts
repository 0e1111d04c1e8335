import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiProblems } from '../api/api-problems.decorator.js';
import type { PolicyName } from './policies.js';

export const ThrottledRoute = Reflector.createDecorator<PolicyName>();

/**
 * For routes that unauthenticated clients may call, or that are expensive. Requests are counted by the named policy
 * of `policies.ts` across all instances, before any other work. Attempts at secrets are counted by `AttemptLimiter`.
 */
export function Throttled(policy: PolicyName) {
  return applyDecorators(ThrottledRoute(policy), ApiProblems('request.rate_limited'));
}
