import { isPrivileged, type Role } from '../../roles.js';
import type { Ended } from '../revocation/end-reason.js';
import type { SessionSnapshot } from './session-snapshot.repository.js';

export type { SessionSnapshot };

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

/** The rules for sessions with a privileged role; see `ADMIN_MFA` and `DEVICE_BINDING`. */
export interface AdminRules {
  adminMfa: 'off' | 'required';
  deviceBinding: 'off' | 'offer' | 'require-for-admins';
}

/**
 * Whether the user has a privileged role, the settings require a second factor of them, and this session has not
 * verified one. Such a session can reach only the endpoints that enrol or verify a factor.
 */
export function lacksSecondFactor(
  { roles, secondFactorAt }: Pick<SessionSnapshot, 'roles' | 'secondFactorAt'>,
  { adminMfa }: Pick<AdminRules, 'adminMfa'>,
): boolean {
  return adminMfa === 'required' && isPrivileged(roles) && secondFactorAt === null;
}

/** Whether the user has a privileged role, the settings require a device key of them, and this session has none. */
export function lacksDeviceKey(
  { roles, binding }: Pick<SessionSnapshot, 'roles' | 'binding'>,
  { deviceBinding }: Pick<AdminRules, 'deviceBinding'>,
): boolean {
  return deviceBinding === 'require-for-admins' && isPrivileged(roles) && binding === null;
}

/** The roles that apply in this session. A privileged role does not apply without what the settings require of it. */
export function rolesInForce(
  session: Pick<SessionSnapshot, 'roles' | 'secondFactorAt' | 'binding'>,
  rules: AdminRules,
): readonly Role[] {
  return lacksSecondFactor(session, rules) || lacksDeviceKey(session, rules)
    ? session.roles.filter((role) => !isPrivileged([role]))
    : session.roles;
}
