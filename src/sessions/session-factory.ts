import type { EntityManager } from 'typeorm';
import { CLAIMS_SQL, NO_CLAIMS, type Claims } from '../platform/claims/declared-claims.js';
import { random } from '../platform/runtime/random.js';
import type { RequestContext } from '../platform/http/request.js';
import type { Role } from '../roles.js';
import type { User } from '../users/user.entity.js';
import { initialRotation } from './refresh/rotation.js';
import {
  epochMs,
  locationOf,
  type SessionLifetime,
  type SessionSnapshot,
  type SnapshotRow,
} from './check/session-snapshot.js';
import type { Transport } from './session.entity.js';

/** A login that is about to begin a session. */
export interface SessionInput {
  userId: string;
  transport: Transport;
  deviceToken: string | null;
  deviceName?: string;
  context: RequestContext;
  /** The second factor that the user proved, if any: its name, for the audit log. */
  secondFactor?: string;
  /** Failed login attempts in a row before this one succeeded. */
  failedBefore?: number;
  /** A session in the same cookie jar that the new session replaces (ASVS 7.2.4). */
  replaces?: string;
}

/**
 * The active sessions of one user, oldest first. The caller already has the user, so the statement joins no other
 * table.
 */
export const OPEN_SESSIONS = `
  select id, latitude, longitude, ${epochMs('located_at')} as located_at,
    ${epochMs('created_at')} as created_at, ${epochMs('last_seen_at')} as last_seen_at
  from sessions where user_id = $1 and status = 'active' and created_at > (select not_before from session_epoch)
  order by created_at, id`;

export type OpenSessionRow = Pick<
  SnapshotRow,
  'id' | 'latitude' | 'longitude' | 'located_at' | 'created_at' | 'last_seen_at'
>;

/** The properties of a user's other sessions that a login needs. */
export type OpenSession = SessionLifetime & Pick<SessionSnapshot, 'id' | 'location'>;

/** @param roles the user's roles; the row does not have them */
export function openSessionOf(row: OpenSessionRow, roles: Role[]): OpenSession {
  const { id, created_at: createdAt, last_seen_at: lastSeenAt } = row;
  return { id, roles, createdAt, lastSeenAt, location: locationOf(row), ended: null };
}

/** A new session as a later read will find it, except for its claims: {@link insertSession} reads them. */
export function newSession(
  { transport, secondFactor, context: { ip, place } }: SessionInput,
  { user, device, createdAt }: { user: User; device: SessionSnapshot['device']; createdAt: number },
): SessionSnapshot {
  const country = place?.country ?? null;
  return {
    id: random.uuidAt(createdAt),
    userId: user.id,
    roles: user.roles,
    claims: NO_CLAIMS,
    transport,
    ip,
    country,
    originCountry: country,
    location: place?.at ? { ...place.at, at: createdAt } : null,
    deviations: [],
    createdAt,
    lastSeenAt: createdAt,
    authenticatedAt: createdAt,
    secondFactorAt: secondFactor ? createdAt : null,
    keyVersion: 0,
    undelivered: false,
    deniedTokens: [],
    device,
    ended: null,
  };
}

const RETURNING_CLAIMS = CLAIMS_SQL
  ? `returning (select ${CLAIMS_SQL} from users u where u.id = sessions.user_id) as claims`
  : '';

/**
 * Inserts a new session at the start of its rotation.
 *
 * @param nonce 16 random bytes, from which the keys of the refresh tokens are derived
 * @returns the session with its claims
 */
export async function insertSession(
  tx: EntityManager,
  session: SessionSnapshot,
  nonce: Buffer,
  { userAgent }: RequestContext,
): Promise<SessionSnapshot> {
  const { id, userId, device, transport, ip, country, location, secondFactorAt } = session;
  const createdAt = new Date(session.createdAt);
  const [row] = await tx.query<{ claims?: Claims }[]>(
    `insert into sessions (id, user_id, device_id, transport, ip, user_agent, origin_country, country,
                           latitude, longitude, located_at,
                           created_at, last_seen_at, authenticated_at, second_factor_at, refresh_nonce, rotation)
     values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $11, $11, $12, $13, $14) ${RETURNING_CLAIMS}`,
    [
      id,
      userId,
      device.id,
      transport,
      ip,
      userAgent,
      country,
      location?.latitude,
      location?.longitude,
      location && createdAt,
      createdAt,
      secondFactorAt && createdAt,
      nonce,
      JSON.stringify(initialRotation()),
    ],
  );
  return row?.claims ? { ...session, claims: row.claims } : session;
}
