import type { EntityManager } from 'typeorm';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SnapshotRow,
} from '../check/session-snapshot.repository.js';

/** Reads of users, sessions and the global epoch, by which a pending action is judged. Nothing here writes. */

const REQUESTING_SESSION = `
  select ${SNAPSHOT_COLUMNS}, s.pending_not_before, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1 and s.user_id = $2`;

const REQUESTS_OF_USER = `
  select $2::timestamptz > greatest(u.pending_not_before, e.not_before) as authorized
  from users u cross join session_epoch e where u.id = $1`;

const REQUEST_TIME = `
  select clock_timestamp() as now, greatest(u.pending_not_before, s.pending_not_before, e.not_before) as not_before
  from users u cross join session_epoch e left join sessions s on s.id = $2 where u.id = $1`;

/** Whether nothing has voided what was requested for this user, without a session, at this time. */
export async function mayRequestOfUser(
  tx: EntityManager,
  userId: string,
  requestedAt: Date,
): Promise<boolean> {
  const [user] = await tx.query<{ authorized: boolean }[]>(REQUESTS_OF_USER, [userId, requestedAt]);
  return user?.authorized ?? false;
}

/**
 * The session that requested an action; null if the user has no such session. `pendingNotBefore` is in milliseconds
 * since the epoch: requests up to this time are void.
 */
export async function findRequester(
  tx: EntityManager,
  userId: string,
  sessionId: string,
): Promise<{ session: SessionSnapshot; pendingNotBefore: number; now: Date } | null> {
  const [row] = await tx.query<(SnapshotRow & { pending_not_before: Date | number; now: Date })[]>(
    REQUESTING_SESSION,
    [sessionId, userId],
  );
  if (!row) return null;
  return { session: snapshotOf(row), pendingNotBefore: Number(row.pending_not_before), now: row.now };
}

/** The database's time, and the time in milliseconds since the epoch up to which requests are void. */
export async function readRequestTime(
  tx: EntityManager,
  userId: string,
  sessionId: string | null,
): Promise<{ now: Date; notBefore: number }> {
  const [row] = await tx.query<{ now: Date; not_before: Date | number }[]>(REQUEST_TIME, [userId, sessionId]);
  return { now: row!.now, notBefore: Number(row!.not_before) };
}
