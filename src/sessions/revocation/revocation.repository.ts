import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { Prepared } from '../../platform/persistence/database.module.js';
import { PRODUCT } from '../../product.js';
import type { EndReason } from './end-reason.js';
import { Revocation, type RevocationKind } from './revocation.entity.js';

/** All statements of the table `revocations`: the log that every instance reads, and the outbox for the cache. */

type Database = Pick<EntityManager, 'query'>;

/**
 * The instance that made a revocation has this long to finish it. After that, the dispatcher of any instance takes
 * over.
 */
const HANDOVER_MS = 2_000;
/** The greatest bigint. */
const MAX_SEQ = '9223372036854775807';

/** Inserts a revocation and notifies the subscribers of all instances at the commit. @returns its number */
export async function insertRevocation(
  tx: EntityManager,
  {
    kind,
    subjects,
    tokenId,
    reason,
    notBefore,
    endedSessions,
    createdAt,
    expiresAt,
  }: Omit<Revocation, 'seq' | 'appliedAt'>,
): Promise<string> {
  const [row] = await tx.query<{ seq: string }[]>(
    `insert into revocations (kind, subjects, token_id, reason, not_before, ended_sessions, created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning seq`,
    [kind, subjects, tokenId, reason, notBefore, endedSessions, createdAt, expiresAt],
  );
  await tx.query('select pg_notify($1, $2)', [PRODUCT.revocationsChannel, '']);
  return row!.seq;
}

/** The revocation with this number, or the one that denied this token. */
export function findRevocation(
  tx: EntityManager,
  which: { seq: string } | { tokenId: string },
): Promise<Revocation | null> {
  return tx.findOneBy(Revocation, which);
}

/**
 * Revocations that the cache has not acknowledged, the oldest first.
 *
 * @param limit at most this many
 */
export function findUnapplied(tx: EntityManager, limit: number): Promise<Revocation[]> {
  return tx
    .getRepository(Revocation)
    .createQueryBuilder('revocation')
    .where('revocation.appliedAt is null')
    .andWhere(`revocation.createdAt < clock_timestamp() - interval '${HANDOVER_MS} ms'`)
    .orderBy('revocation.seq')
    .take(limit)
    .getMany();
}

/**
 * The numbers of all revocations that the cache has not acknowledged.
 *
 * @param before only those that are older than this one
 */
export async function unappliedSeqs(database: Database, before?: string): Promise<string[]> {
  const rows = await database.query<{ seq: string }[]>(
    'select seq from revocations where applied_at is null and seq < $1 order by seq',
    [before ?? MAX_SEQ],
  );
  return rows.map(({ seq }) => seq);
}

/** Marks a revocation as applied. @returns the database's time */
export async function setApplied(database: Database, seq: string): Promise<Date> {
  const [[marked]] = await database.query<[[{ applied_at: Date }], number]>(
    'update revocations set applied_at = clock_timestamp() where seq = $1 returning applied_at',
    [seq],
  );
  return marked.applied_at;
}

/** Takes the turn of sweeping a global revocation. @returns how many sessions have been ended so far */
export async function lockSweep(tx: EntityManager, seq: string): Promise<number> {
  const [turn] = await tx.query<{ ended_sessions: number }[]>(
    'select ended_sessions from revocations where seq = $1 for update',
    [seq],
  );
  return turn!.ended_sessions;
}

/** Saves how many sessions a global revocation has ended so far. */
export async function saveEndedCount(tx: EntityManager, seq: string, ended: number): Promise<void> {
  await tx.query('update revocations set ended_sessions = $2 where seq = $1', [seq, ended]);
}

const REMOVE = `
  delete from revocations where seq in (
    select seq from revocations where created_at < $2 and applied_at is not null order by seq limit $1 for update skip locked)`;

/** Removes applied revocations made before an instant. @returns how many, at most `limit` */
export async function removeRevocations(database: Database, limit: number, before: Date): Promise<number> {
  const [, removed] = await database.query<[unknown, number]>(REMOVE, [limit, before]);
  return removed;
}

// --- The feed, on the connection of a subscriber

/** Notices that one statement reads: about a megabyte. */
const PAGE = 5_000;
/**
 * Start at the oldest unexpired revocation; an expired one concerns no unexpired token. `statement_timestamp()`
 * (stable) lets the planner use the index; `clock_timestamp()` (volatile) does not.
 */
const FEED_START = `
  with live as materialized (select xid from revocations where expires_at > statement_timestamp())
  select least((select xid from live order by xid limit 1), pg_snapshot_xmin(pg_current_snapshot()))::text as start`;

/**
 * Reads every revocation since the last poll, page by page. Sequence numbers commit out of order. Therefore the
 * cursor is the oldest transaction that was still open at the last poll. Everything before it has been read;
 * everything after it is read again. A long write transaction elsewhere only makes a poll read more.
 */
const POLL: Prepared = {
  name: 'poll revocations',
  text: `
  with page as materialized (
    select * from revocations where (xid, seq) > ($1::text::xid8, $2) and expires_at > clock_timestamp()
    order by xid, seq limit ${PAGE})
  select pg_snapshot_xmin(pg_current_snapshot())::text as cursor,
    pg_snapshot_xmax(pg_current_snapshot())::text as horizon,
    date_part('epoch', clock_timestamp()) * 1000 as now,
    (select max(seq) from revocations) as newest,
    pg_sequence_last_value(pg_get_serial_sequence('revocations', 'seq')) as last,
    (select array[xid::text, seq::text] from page order by xid, seq offset ${PAGE - 1}) as next,
    (select coalesce(json_agg(json_build_array(kind, subjects, token_id, reason,
      date_part('epoch', not_before) * 1000, date_part('epoch', created_at) * 1000,
      date_part('epoch', expires_at) * 1000, seq)), '[]')::text from page) as notices`,
};

/** One page of revocations. */
export interface FeedPage {
  cursor: string;
  horizon: string;
  /** The database's time, in milliseconds since the epoch. */
  now: number;
  /** `newest`: the highest number of a committed revocation. `last`: the highest number ever assigned. */
  newest: string | null;
  last: string | null;
  /** The position after which the next page begins; null if there is no next page. */
  next: FeedPlace | null;
  /** JSON of {@link FeedRow}s. It is parsed after the next page has been requested. */
  notices: string;
}

/** A position in the feed: a transaction id, and a number. */
export type FeedPlace = [xid: string, seq: string];

/**
 * An array with floating-point numbers. PostgreSQL needs half the time of an object with `extract`, and a boot waits
 * for it.
 */
export type FeedRow = [
  kind: RevocationKind,
  subjects: string[],
  tokenId: string | null,
  reason: EndReason,
  notBefore: number | null,
  createdAt: number,
  expiresAt: number,
  seq: number,
];

/** Where the feed starts on a new connection: a transaction id. */
export async function readFeedStart(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ start: string }>(FEED_START);
  return rows[0]!.start;
}

/** The page of the feed after this place. */
export async function readFeedPage(client: pg.Client, after: FeedPlace): Promise<FeedPage> {
  const { rows } = await client.query<FeedPage>({ ...POLL, values: after });
  return rows[0]!;
}
