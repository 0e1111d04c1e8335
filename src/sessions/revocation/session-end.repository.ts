import type { EntityManager } from 'typeorm';
import { lastUuidOf } from '../../platform/runtime/random.js';
import type { EndReason } from './end-reason.js';
import type { Revocation } from './revocation.entity.js';

/** The statements by which revocations end sessions. `session.repository.ts` says where the others are. */

type Database = Pick<EntityManager, 'query'>;

/** The user of a session, live or ended; null when the session does not exist. */
export async function userOfSession(database: Database, sessionId: string): Promise<string | null> {
  const [session] = await database.query<{ user_id: string }[]>(
    'select user_id from sessions where id = $1',
    [sessionId],
  );
  return session?.user_id ?? null;
}

/** The ids of a user's active sessions. */
export async function activeSessionsOf(tx: EntityManager, userId: string): Promise<string[]> {
  return idsOf(
    await tx.query<{ id: string }[]>(`select id from sessions where user_id = $1 and status = 'active'`, [
      userId,
    ]),
  );
}

/** The ids of the active sessions on a device. */
export async function activeSessionsOn(tx: EntityManager, deviceId: string): Promise<string[]> {
  return idsOf(
    await tx.query<{ id: string }[]>(`select id from sessions where device_id = $1 and status = 'active'`, [
      deviceId,
    ]),
  );
}

/**
 * Locks active sessions of a user that a revocation ends.
 *
 * @param only the ids to choose from; null for all
 * @param except the id of a session that goes on; null for none
 */
export function lockSessionsToEnd(
  tx: EntityManager,
  userId: string,
  { only, except }: { only: string[] | null; except: string | null },
): Promise<{ id: string; created_at: Date }[]> {
  return tx.query<{ id: string; created_at: Date }[]>(
    `select id, created_at from sessions where user_id = $1 and status = 'active'
       and ($2::uuid[] is null or id = any($2)) and ($3::uuid is null or id <> $3)
     order by id for update`,
    [userId, only, except],
  );
}

/** Ends sessions whose rows are locked. */
export async function endSessionRecords(
  tx: EntityManager,
  ids: string[],
  { reason, at, seq }: { reason: EndReason; at: Date; seq: string },
): Promise<void> {
  await tx.query(
    `update sessions set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4 where id = any($1)`,
    [ids, reason, at, seq],
  );
}

/** Records a revocation on a session that had ended by age. */
export async function noteRevocation(tx: EntityManager, id: string, seq: string): Promise<void> {
  await tx.query('update sessions set revocation_seq = $2 where id = $1', [id, seq]);
}

/** The number of the revocation that ended the session; null if it is active or has ended by age. */
export async function revocationThatEnded(tx: EntityManager, sessionId: string): Promise<string | null> {
  const [ended] = await tx.query<{ revocation_seq: string | null }[]>(
    `select revocation_seq from sessions where id = $1 and status = 'ended'`,
    [sessionId],
  );
  return ended?.revocation_seq ?? null;
}

/** The ids of the sessions that a revocation ended. */
export async function sessionsEndedBy(tx: EntityManager, seq: string): Promise<string[]> {
  return idsOf(await tx.query<{ id: string }[]>('select id from sessions where revocation_seq = $1', [seq]));
}

/** The ids of the sessions of one user that these revocations ended. */
export async function userSessionsEndedBy(
  tx: EntityManager,
  userId: string,
  seqs: string[],
): Promise<string[]> {
  return idsOf(
    await tx.query<{ id: string }[]>(
      `select id from sessions where user_id = $1 and status = 'ended' and revocation_seq = any($2)`,
      [userId, seqs],
    ),
  );
}

/**
 * How many records a global revocation still has to end.
 *
 * @param most where the count stops
 */
export async function countLeftToEnd(database: Database, notBefore: Date, most: number): Promise<number> {
  const [left] = await database.query<{ count: number }[]>(
    `select count(*)::int from (
       select from sessions where status = 'active' and id <= $1 and created_at <= $2 order by id limit $3) some_left`,
    [lastUuidOf(notBefore.getTime()), notBefore, most],
  );
  return left!.count;
}

/**
 * Ends a batch of the sessions that a global revocation concerns, and skips locked rows. Ids increase with creation
 * time, so the statement never scans sessions that began later.
 *
 * @param after ends sessions with greater ids only
 * @returns the ids of the ended sessions, in ascending order
 */
export async function endBatchOfEveryone(
  tx: EntityManager,
  { seq, reason, notBefore }: Revocation,
  { after, limit }: { after: string; limit: number },
): Promise<string[]> {
  const [rows] = await tx.query<[{ id: string }[], number]>(
    `with batch as (
       select id from sessions where status = 'active' and id > $1 and id <= $6 and created_at <= $3
       order by id limit $5 for update skip locked)
     update sessions set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4
     where id in (select id from batch) returning id`,
    [after, reason, notBefore, seq, limit, lastUuidOf(notBefore!.getTime())],
  );
  return idsOf(rows).sort();
}

function idsOf(rows: { id: string }[]): string[] {
  return rows.map(({ id }) => id);
}
