import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBearerAuth, ApiCookieAuth, ApiExtension } from '@nestjs/swagger';
import { milliseconds, type Duration } from '../../platform/settings/duration.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';

/** Options of {@link RequireSession}. */
export interface RequireSessionOptions {
  /** The maximum time since the user last proved their identity, for example `'5m'`. Any age when absent. */
  maxAuthAge?: Duration;
  /** `cached` (default) may use a cached session; `strict` reads Postgres on every check. */
  consistency?: 'cached' | 'strict';
  /**
   * Also allows a session that must reauthenticate, after a risk signal (`SUSPICION_…=reauthenticate`) or without a proof
   * of its device key. For routes that reauthenticate.
   */
  provesIdentity?: true;
  /**
   * Also allows a user with a privileged role and without the verified second factor or the device key that
   * `ADMIN_MFA` and `DEVICE_BINDING` require. For routes that enrol or verify a factor.
   */
  awaitsSecondFactor?: true;
  /**
   * With `maxAuthAge`: if the session has proved a second factor, that proof must be as recent. For changes of the
   * factors themselves, which a password alone must not permit (ASVS 7.5.1).
   */
  bySecondFactor?: true;
}

/** The metadata that {@link RequireSession} sets on a route. */
export const SessionRoute = Reflector.createDecorator<RequireSessionOptions>();

/**
 * For high-risk routes. The session guard checks the session record as well as the access token. An ended session is
 * therefore refused on its next request, on every instance.
 *
 * - `@RequireSession()`: for account changes and payments; one cache round trip.
 * - `@RequireSession({ maxAuthAge: '5m' })`: for actions that an unlocked screen must not permit (RFC 9470); reads
 *   Postgres on every check.
 * - `@RequireSession({ consistency: 'strict' })`: for routes that must stay correct even if the cache loses writes.
 *
 * It does not check roles. `@Roles()` does, and reads them from Postgres as well. If a write must not commit after
 * its session has ended, also use `SessionFence`.
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
      ...(options.awaitsSecondFactor
        ? []
        : (['auth.second_factor_required', 'auth.device_key_required'] as const)),
      ...(options.maxAuthAge ? (['auth.reauthentication_required'] as const) : []),
      'auth.unavailable',
    ),
  );
}

/**
 * `maxAuthAge` in milliseconds; undefined when absent.
 *
 * @throws RangeError when `maxAuthAge` is not a duration, or is 0
 */
export function maxAuthAgeOf({ maxAuthAge }: RequireSessionOptions): number | undefined {
  if (maxAuthAge === undefined) return undefined;
  const age = milliseconds(maxAuthAge);
  if (age === 0) throw new RangeError('of 0 can never be met');
  return age;
}
