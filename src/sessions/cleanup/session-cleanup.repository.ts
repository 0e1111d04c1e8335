import type { EntityManager } from 'typeorm';
import type { Ended } from '../revocation/end-reason.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SnapshotRow,
} from '../check/session-snapshot.repository.js';

/**
 * The statements that end sessions by age and remove their records. `session.repository.ts` says where the others
 * are.
 */

/** Active records that one transaction checks. Takes a few milliseconds. */
const PAGE = 5_000;

/**
 * The sessions of a page that may have aged, and the last session of the page. The query checks ages before roles,
 * because few users have a privileged role.
 */
const MAY_HAVE_AGED = `
  select id, aged, place = ${PAGE} as "isLast" from (
    select id, row_number() over (order by id) as place,
      last_seen_at <= $2 or created_at <= $3
        or (last_seen_at <= $4 or created_at <= $5) and user_id in (select id from users where roles && $6 and roles <> '{user}') as aged
    from sessions where status = 'active' and id > $1 order by id limit ${PAGE}) page
  where aged or place = ${PAGE}`;

/** Reads the sessions under their lock; `judge` decides with these values. */
const LOCK = `
  select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES}
  where s.id = any($1::uuid[]) and s.status = 'active'
  order by s.id for update of s skip locked`;

const REMOVE = `
  delete from sessions where id in (
    select id from sessions where status = 'ended' and ended_at < $2 order by ended_at limit $1 for update skip locked)`;

/**
 * Instants: sessions last seen, or begun, at or before them may have reached their limit. Users with one of the
 * privileged roles have the limits of admins.
 */
export interface AgeLimits {
  idle: Date;
  lifetime: Date;
  adminIdle: Date;
  adminLifetime: Date;
  privileged: readonly string[];
}

/**
 * Reads one page of active sessions, in the order of their ids.
 *
 * @returns the ids of those that may have aged; `last` is absent on the last page
 */
export async function findAged(
  tx: EntityManager,
  after: string,
  { idle, lifetime, adminIdle, adminLifetime, privileged }: AgeLimits,
): Promise<{ ids: string[]; last?: string }> {
  const page = await tx.query<{ id: string; aged: boolean; isLast: boolean }[]>(MAY_HAVE_AGED, [
    after,
    idle,
    lifetime,
    adminIdle,
    adminLifetime,
    privileged,
  ]);
  const ids = page.filter(({ aged }) => aged).map(({ id }) => id);
  return { ids, last: page.find(({ isLast }) => isLast)?.id };
}

/** Locks those of the sessions that are active and not locked by another transaction. */
export async function lockActive(tx: EntityManager, ids: string[]): Promise<SessionSnapshot[]> {
  const rows = await tx.query<SnapshotRow[]>(LOCK, [ids]);
  return rows.map(snapshotOf);
}

/** Ends sessions whose rows are locked. */
export async function endByAge(
  tx: EntityManager,
  aged: { session: Pick<SessionSnapshot, 'id'>; ended: Ended }[],
): Promise<void> {
  await tx.query(
    `update sessions s set status = 'ended', end_reason = aged.reason, ended_at = aged.at
     from unnest($1::uuid[], $2::text[], $3::timestamptz[]) aged (id, reason, at) where s.id = aged.id`,
    [
      aged.map(({ session }) => session.id),
      aged.map(({ ended }) => ended.reason),
      aged.map(({ ended }) => new Date(ended.at)),
    ],
  );
}

/** Removes records of sessions that ended before an instant. @returns how many, at most `limit` */
export async function removeEnded(
  database: Pick<EntityManager, 'query'>,
  limit: number,
  before: Date,
): Promise<number> {
  const [, removed] = await database.query<[unknown, number]>(REMOVE, [limit, before]);
  return removed;
}
