import type { JWK } from 'jose';
import type { EntityManager } from 'typeorm';
import { CLAIMS_SQL, type Claims } from '../platform/claims/declared-claims.js';
import type { Clock } from '../platform/runtime/clock.js';
import type { RequestContext } from '../platform/http/request.js';
import type { SessionSnapshot } from './check/session-snapshot.js';
import { epochMs, type LocationRow } from './check/session-parts.repository.js';
import { initialRotation } from './refresh/rotation.js';

/** The statements of a login, under the user's lock. `session.repository.ts` says where the others are. */

/** The caller already has the user, so the statement joins no other table. */
const OPEN_SESSIONS = `
  select id, latitude, longitude, ${epochMs('located_at')} as located_at,
    ${epochMs('created_at')} as created_at, ${epochMs('last_seen_at')} as last_seen_at
  from sessions where user_id = $1 and status = 'active' and created_at > (select not_before from session_epoch)
  order by created_at, id`;

const RETURNING_CLAIMS = CLAIMS_SQL
  ? `returning (select ${CLAIMS_SQL} from users u where u.id = sessions.user_id) as claims`
  : '';

/** A row of {@link openSessions}. */
export interface OpenSessionRow extends LocationRow {
  id: string;
  created_at: number;
  last_seen_at: number;
}

/** The active sessions of one user, oldest first. */
export function openSessions(tx: EntityManager, userId: string): Promise<OpenSessionRow[]> {
  return tx.query<OpenSessionRow[]>(OPEN_SESSIONS, [userId]);
}

/**
 * The database's time, read under the user's lock. `createdAt` is later than every earlier revocation, even within
 * one millisecond: not-before instants rely on that.
 */
export async function loginTime(
  tx: EntityManager,
  userId: string,
  clock: Clock,
): Promise<{ now: Date; createdAt: number }> {
  const [row] = await tx.query<{ now: Date; not_before: Date | number }[]>(
    `select clock_timestamp() as now, greatest(u.sessions_not_before, e.not_before) as not_before
     from users u cross join session_epoch e where u.id = $1`,
    [userId],
  );
  const now = clock.fromDatabase(row!.now);
  return { now: new Date(now), createdAt: Math.max(now, Number(row!.not_before) + 1) };
}

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
  { context: { userAgent }, deviceKey }: { context: RequestContext; deviceKey?: JWK | null },
): Promise<SessionSnapshot> {
  const { id, userId, device, transport, ip, country, location, secondFactorAt } = session;
  const createdAt = new Date(session.createdAt);
  const [row] = await tx.query<{ claims?: Claims }[]>(
    `insert into sessions (id, user_id, device_id, transport, ip, user_agent, origin_country, country,
                           latitude, longitude, located_at,
                           created_at, last_seen_at, authenticated_at, second_factor_at, refresh_nonce, rotation,
                           device_key, bound_at, binding_version)
     values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $11, $11, $12, $13, $14,
             $15, $16, $17) ${RETURNING_CLAIMS}`,
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
      deviceKey ? JSON.stringify(deviceKey) : null,
      deviceKey ? createdAt : null,
      session.binding?.version ?? 0,
    ],
  );
  return row?.claims ? { ...session, claims: row.claims } : session;
}
