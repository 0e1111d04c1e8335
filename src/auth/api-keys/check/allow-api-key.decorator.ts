import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import type { Scope } from '../../../scopes.js';

/** The metadata that {@link AllowApiKey} sets on a route: the scope. */
export const ApiKeyRoute = Reflector.createDecorator<Scope>();

/**
 * Also lets machines in, by an API key with this scope, in the header `X-API-Key`. The route still admits people as its
 * other decorators say: with `@RequireSession()` it demands a live session, or a live key with the scope. Every other
 * route refuses keys.
 *
 * A key is checked as a session is: one round trip to the cache, and after its end it is refused on its next request. It
 * proves no password, no second factor and no role. Such a demand beside this decorator stops the boot.
 *
 * The handler gets the caller by `@CurrentCaller()`.
 */
export function AllowApiKey(scope: Scope) {
  return applyDecorators(
    ApiKeyRoute(scope),
    ApiExtension('x-scope', scope),
    ApiProblems('auth.invalid_key', 'auth.insufficient_scope', 'request.rate_limited', 'auth.unavailable'),
  );
}
