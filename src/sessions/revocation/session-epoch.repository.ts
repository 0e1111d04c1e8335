import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../../platform/runtime/clock.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { ADVISORY_LOCKS } from '../../platform/persistence/advisory-locks.js';

/**
 * A transaction that must not overlap with a global revocation shares this lock until it ends. Examples are logins,
 * fenced writes, and refreshes under a user's lock. Take this lock first.
 */
export async function shareEpoch(tx: EntityManager): Promise<void> {
  await tx.query('select pg_advisory_xact_lock_shared($1)', [ADVISORY_LOCKS.sessionEpoch]);
}

/**
 * Ends every session created at or before `notBefore`. `notBefore` is never earlier than the newest session or the
 * last global revocation. Otherwise a clock that stepped back could spare or revive sessions. Ids increase with
 * creation time, so this reads only one session, however many there are.
 */
export async function lockEpochForRevocation(
  tx: EntityManager,
  clock: Clock,
): Promise<{ now: Date; notBefore: Date }> {
  await tx.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCKS.sessionEpoch]);
  const now = await databaseNow(tx, clock);
  const [[epoch]] = await tx.query<[[{ not_before: Date }], number]>(
    `update session_epoch set not_before =
       greatest(not_before, $1, (select created_at from sessions order by id desc limit 1))
     returning not_before`,
    [now],
  );
  return { now, notBefore: epoch.not_before };
}

/** Records a global revocation again, which a former primary had acknowledged. */
export async function raiseEpoch(tx: EntityManager, notBefore: Date): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCKS.sessionEpoch]);
  await tx.query('update session_epoch set not_before = greatest(not_before, $1)', [notBefore]);
}

/** Changes nothing. @throws an error of PostgreSQL if it takes no writes, or if the role may not write */
export async function writeNothing(pool: pg.Pool): Promise<void> {
  await pool.query('update session_epoch set not_before = not_before where false');
}
