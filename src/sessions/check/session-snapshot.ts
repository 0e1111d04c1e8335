import type { Claims } from '../../platform/claims/declared-claims.js';
import { isPrivileged, type Role } from '../../roles.js';
import type { Ended } from '../revocation/end-reason.js';
import type { Transport } from '../session.entity.js';

/**
 * A session with everything that decides whether it is live, as one read found it. It is frozen, because checks share
 * it. Instants are milliseconds since the epoch.
 */
export interface SessionSnapshot {
  readonly id: string;
  readonly userId: string;
  readonly roles: readonly Role[];
  /** The current values of the claims that `src/claims.ts` declares. The token may still have earlier ones. */
  readonly claims: Claims;
  readonly transport: Transport;
  /** The IP address of the last renewal. */
  readonly ip: string | null;
  /** The country of the last renewal. */
  readonly country: string | null;
  /** The country of the login. */
  readonly originCountry: string | null;
  /** The last position that a city database gave for the session. */
  readonly location: { latitude: number; longitude: number; at: number } | null;
  /** The risk signals that are already known for this session, see `session-risk.ts`. */
  readonly deviations: readonly string[];
  readonly createdAt: number;
  readonly lastSeenAt: number;
  readonly authenticatedAt: number;
  /** When the session last proved a second factor; null for never. */
  readonly secondFactorAt: number | null;
  /** Incremented when the session's keys change. Access tokens of another key version were issued before that. */
  readonly keyVersion: number;
  /** Whether no request has presented an access token of this key version since the keys changed, see `superseded-keys.ts`. */
  readonly undelivered: boolean;
  /** The `jti` of each denied access token of this session. The session itself goes on. */
  readonly deniedTokens: readonly string[];
  readonly device: {
    id: string;
    name: string;
    browser: string | null;
    os: string | null;
    firstSeenAt: number;
  };
  /** The end that Postgres has recorded. The age is judged separately, see {@link judge}. */
  readonly ended: Ended | null;
}

/** The lifetimes of sessions, in milliseconds. */
export interface Lifetimes {
  sessionIdleTimeout: number;
  sessionLifetime: number;
  adminSessionIdleTimeout: number;
  adminSessionLifetime: number;
}

/** The properties that decide whether a session is live. */
export type SessionLifetime = Pick<SessionSnapshot, 'roles' | 'createdAt' | 'lastSeenAt' | 'ended'>;

/** When the session ends by age if it is not used again. The current settings and roles apply. */
export function expiryOf(
  session: Omit<SessionLifetime, 'ended'>,
  settings: Lifetimes,
): { idleAt: number; expiresAt: number } {
  const privileged = isPrivileged(session.roles);
  return {
    idleAt:
      session.lastSeenAt + (privileged ? settings.adminSessionIdleTimeout : settings.sessionIdleTimeout),
    expiresAt: session.createdAt + (privileged ? settings.adminSessionLifetime : settings.sessionLifetime),
  };
}

/**
 * The only function that decides whether a session is live. The check, refresh, fence, session limit and session list
 * all use it.
 *
 * @param now milliseconds since the epoch
 * @returns null for a live session
 */
export function judge(session: SessionLifetime, settings: Lifetimes, now: number): Ended | null {
  if (session.ended) return session.ended;
  const { idleAt, expiresAt } = expiryOf(session, settings);
  if (expiresAt <= now && expiresAt <= idleAt) return { reason: 'expired', at: expiresAt };
  if (idleAt <= now) return { reason: 'idle', at: idleAt };
  return null;
}

/** The rules for a session without a second factor; see `ADMIN_MFA`. */
export interface FactorRules {
  adminMfa: 'off' | 'required';
}

/**
 * Whether the user has a privileged role, the settings require a second factor of them, and this session has not
 * verified one. Such a session can reach only the endpoints that enrol or verify a factor.
 */
export function lacksSecondFactor(
  { roles, secondFactorAt }: Pick<SessionSnapshot, 'roles' | 'secondFactorAt'>,
  { adminMfa }: FactorRules,
): boolean {
  return adminMfa === 'required' && isPrivileged(roles) && secondFactorAt === null;
}

/** The roles that apply in this session. A privileged role that requires a second factor does not apply without one. */
export function rolesInForce(
  session: Pick<SessionSnapshot, 'roles' | 'secondFactorAt'>,
  rules: FactorRules,
): readonly Role[] {
  return lacksSecondFactor(session, rules)
    ? session.roles.filter((role) => !isPrivileged([role]))
    : session.roles;
}
