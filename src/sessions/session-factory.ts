import type { JWK } from 'jose';
import { random } from '../platform/runtime/random.js';
import type { RequestContext } from '../platform/http/request.js';
import type { Role } from '../roles.js';
import type { User } from '../users/user.entity.js';
import type { SessionLifetime, SessionSnapshot } from './check/session-snapshot.js';
import { locationOf } from './check/session-parts.repository.js';
import { INITIAL_SNAPSHOT } from './check/session-snapshot.repository.js';
import type { OpenSessionRow } from './new-session.repository.js';
import type { Transport } from './session.entity.js';

/** The outside account by which a session began. */
export interface SessionOrigin {
  identityId: string;
  /** The `sid` of the session at its provider, if the provider names one. */
  sid: string | null;
}

/** A login that is about to begin a session. */
export interface SessionInput {
  userId: string;
  transport: Transport;
  deviceToken: string | null;
  deviceName?: string;
  context: RequestContext;
  /** The public key that the client has proved, if the session is bound from its start. */
  deviceKey?: JWK | null;
  /** The second factor that the user proved, if any: its name, for the audit log. */
  secondFactor?: string;
  /** Failed login attempts in a row before this one succeeded. */
  failedBefore?: number;
  /** The outside account with which the user has signed in, if any. */
  origin?: SessionOrigin;
  /** A session in the same cookie jar that the new session replaces (ASVS 7.2.4). */
  replaces?: string;
}

/** The properties of a user's other sessions that a login needs. */
export type OpenSession = SessionLifetime & Pick<SessionSnapshot, 'id' | 'location'>;

/** @param roles the user's roles; the row does not have them */
export function openSessionOf(row: OpenSessionRow, roles: Role[]): OpenSession {
  const { id, created_at: createdAt, last_seen_at: lastSeenAt } = row;
  return { id, roles, createdAt, lastSeenAt, location: locationOf(row), ended: null };
}

/** A new session as a later read will find it, except for its claims: `insertSession` reads them. */
export function newSession(
  { transport, secondFactor, deviceKey, context: { ip, place } }: SessionInput,
  { user, device, createdAt }: { user: User; device: SessionSnapshot['device']; createdAt: number },
): SessionSnapshot {
  const country = place?.country ?? null;
  return {
    ...INITIAL_SNAPSHOT,
    id: random.uuidAt(createdAt),
    userId: user.id,
    roles: user.roles,
    transport,
    ip,
    country,
    originCountry: country,
    location: place?.at ? { ...place.at, at: createdAt } : null,
    createdAt,
    lastSeenAt: createdAt,
    authenticatedAt: createdAt,
    secondFactorAt: secondFactor ? createdAt : null,
    binding: deviceKey ? { version: 1, boundAt: createdAt } : null,
    device,
  };
}
