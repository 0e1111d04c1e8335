import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBearerAuth, ApiCookieAuth, ApiExtension } from '@nestjs/swagger';
import { milliseconds, type Duration } from '../common/duration.js';
import { ApiProblems } from '../common/api-problems.decorator.js';

export interface RequireSessionOptions {
  /** How long ago the person may at most have proved who they are: `'5m'`. Any age when absent. */
  maxAuthAge?: Duration;
  /** `cached` (default) or `strict`: Postgres on every check. */
  consistency?: 'cached' | 'strict';
  /** Lets in a session that looks suspicious and waits for a proof (`SUSPICION_…=reauthenticate`): the route is there to prove it. */
  provesIdentity?: true;
  /** Lets in an admin who has yet to prove a second factor (`ADMIN_MFA=required`): the route is there to get so far. */
  awaitsSecondFactor?: true;
  /**
   * With `maxAuthAge`: in a session that has proved a second factor, that proof must be as recent. For what changes the
   * factors themselves, which a password alone must not (ASVS 7.5.1).
   */
  bySecondFactor?: true;
}

/** What {@link RequireSession} leaves on a route. */
export const SessionRoute = Reflector.createDecorator<RequireSessionOptions>();

/**
 * High-risk routes: besides the access token, the session record itself is checked, so that a session
 * that has ended is refused on its next request, everywhere.
 *
 * - `@RequireSession()`: account changes, payments; one cache round trip.
 * - `@RequireSession({ maxAuthAge: '5m' })`: what somebody at an unlocked screen must not do (RFC 9470); Postgres on every check.
 * - `@RequireSession({ consistency: 'strict' })`: where even a cache that lost writes must not matter.
 *
 * It does not look at roles; that is `@Roles()`, which asks Postgres for them as well. A payment that must not commit after the end of its
 * session also holds the fence, see `SessionFence`.
 */
export function RequireSession(options: RequireSessionOptions = {}) {
  const tier = options.maxAuthAge ? 'fresh' : options.consistency === 'strict' ? 'strict' : 'session';
  return applyDecorators(
    SessionRoute(options),
    ApiBearerAuth('bearer'),
    ApiCookieAuth('cookie'),
    ApiExtension('x-tier', tier),
    ApiProblems(
      'auth.unauthenticated',
      'auth.invalid_token',
      'auth.token_expired',
      'auth.session_ended',
      ...(options.awaitsSecondFactor ? [] : (['auth.second_factor_required'] as const)),
      ...(options.maxAuthAge ? (['auth.reauthentication_required'] as const) : []),
      'auth.unavailable',
    ),
  );
}

/** @throws RangeError when `maxAuthAge` is no duration, or is none at all */
export function maxAuthAgeOf({ maxAuthAge }: RequireSessionOptions): number | undefined {
  if (maxAuthAge === undefined) return undefined;
  const age = milliseconds(maxAuthAge);
  if (age === 0) throw new RangeError('of 0 can never be met');
  return age;
}
