import type { EntityManager } from 'typeorm';
import type { Clock } from '../common/clock.js';
import { databaseNow } from '../database/database-now.js';

/** Any number, the same for all instances of one database. */
const EPOCH_LOCK = 7_263_403;

/**
 * Whatever must not overlap with the end of everyone's sessions (logins, fenced writes, refreshes under a user's lock)
 * shares this lock for the length of its transaction. Take it first.
 */
export async function shareEpoch(tx: EntityManager): Promise<void> {
  await tx.query('select pg_advisory_xact_lock_shared($1)', [EPOCH_LOCK]);
}

/**
 * Ends everything that was created up to `notBefore`. That is never earlier than what is to be ended,
 * nor than the last time: a clock that stepped back must not spare or revive anybody. Ids grow with
 * the time of creation, so however many sessions there are, this looks at one.
 */
export async function lockEpochForRevocation(
  tx: EntityManager,
  clock: Clock,
): Promise<{ now: Date; notBefore: Date }> {
  await tx.query('select pg_advisory_xact_lock($1)', [EPOCH_LOCK]);
  const now = await databaseNow(tx, clock);
  const [[epoch]] = await tx.query<[[{ not_before: Date }], number]>(
    `update session_epoch set not_before =
       greatest(not_before, $1, (select created_at from sessions order by id desc limit 1))
     returning not_before`,
    [now],
  );
  return { now, notBefore: epoch.not_before };
}
