import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiProblems } from '../common/api-problems.decorator.js';
import type { PolicyName } from './policies.js';

export const ThrottledRoute = Reflector.createDecorator<PolicyName>();

/**
 * For routes that strangers may call, or that cost something: counted by the named policy of `policies.ts`, together with
 * all other instances, before anything else is done. It does not count guesses; that is `Guesses`.
 */
export function Throttled(policy: PolicyName) {
  return applyDecorators(ThrottledRoute(policy), ApiProblems('request.rate_limited'));
}
