import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import type { Scope } from '../../scopes.js';

/** The credentials beside sessions that a route lets in, and the scope that they need. */
export interface ScopedRouteOptions {
  scope: Scope;
  /** Also lets in apps with an access token of OAuth, not only API keys. */
  apps: boolean;
  /** Refuses people, whatever their roles: 403 `auth.forbidden`. */
  machinesOnly: boolean;
}

/** The metadata that {@link AllowApiKey} and {@link AllowScope} set on a route. */
export const ScopedRoute = Reflector.createDecorator<ScopedRouteOptions>();

/**
 * Also lets machines in, by an API key with this scope, in the header `X-API-Key`. The route still admits people as its
 * other decorators say: with `@RequireSession()` it demands a live session, or a live key with the scope. Every other
 * route refuses keys.
 *
 * A key is checked as a session is: one round trip to the cache, and after its end it is refused on its next request. It
 * proves no password, no second factor and no role. Such a demand beside this decorator stops the boot.
 *
 * The handler gets the caller by `@CurrentCaller()`.
 *
 * @param options `machinesOnly`: the route refuses people, also with a live session, by 403 `auth.forbidden`
 */
export function AllowApiKey(scope: Scope, { machinesOnly = false }: { machinesOnly?: boolean } = {}) {
  return applyDecorators(
    ScopedRoute({ scope, apps: false, machinesOnly }),
    ApiExtension('x-scope', scope),
    ...(machinesOnly ? [ApiExtension('x-machines-only', true), ApiProblems('auth.forbidden')] : []),
    ApiProblems('auth.invalid_key', 'auth.insufficient_scope', 'request.rate_limited', 'auth.unavailable'),
  );
}

/**
 * As {@link AllowApiKey}, and also lets in apps to which a user has granted the scope (OAuth 2.1, `OAUTH_PROVIDER=on`). An
 * app acts for its user, by an access token of its own in `Authorization: Bearer`. With `@RequireSession()` its grant is
 * read from Postgres on every request; without, the token alone decides, and an ended grant is refused through the
 * denial list.
 */
export function AllowScope(scope: Scope) {
  return applyDecorators(
    ScopedRoute({ scope, apps: true, machinesOnly: false }),
    ApiExtension('x-scope', scope),
    ApiExtension('x-apps', true),
    ApiProblems(
      'auth.invalid_key',
      'auth.invalid_token',
      'auth.token_expired',
      'auth.insufficient_scope',
      'request.rate_limited',
      'auth.unavailable',
    ),
  );
}
