import type { EntityManager } from 'typeorm';

/** Records that are counted: a few milliseconds of PostgreSQL's time. */
const MAX_COUNTED = 10_000;

/**
 * Reads at most this many entries of one index. Session ids are version 7 UUIDs, so the sessions that a global revocation
 * has ended are those up to the id that its time gives. Beyond the limit, the number is that of all entries of the index,
 * as the last `vacuum` or `analyze` found it.
 */
const COUNT = `
  with epoch as (
    select (lpad(to_hex((extract(epoch from greatest(not_before, 'epoch')) * 1000)::bigint), 12, '0')
      || repeat('f', 20))::uuid as last_ended_id from session_epoch),
  counted as (
    select id from sessions where status = 'active' and id > (select last_ended_id from epoch)
    order by id limit ${MAX_COUNTED + 1})
  select count(*)::int as counted,
    (select reltuples::float8 from pg_class where oid = to_regclass('sessions_active_by_id')) as entries
  from counted`;

/**
 * The number of live sessions, cheap enough to be asked every few seconds. Sessions that have ended by age count until the
 * cleanup job has ended their records. Above 10,000 the number is an estimate, and more than 10,000.
 */
export async function countLiveSessions(
  database: Pick<EntityManager, 'query'>,
): Promise<{ liveSessions: number; isEstimate: boolean }> {
  const [row] = await database.query<{ counted: number; entries: number | null }[]>(COUNT);
  const { counted, entries } = row!;
  const isEstimate = counted > MAX_COUNTED;
  return { liveSessions: isEstimate ? Math.max(counted, entries ?? 0) : counted, isEstimate };
}
