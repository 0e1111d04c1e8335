import type pg from 'pg';
import type { Prepared } from '../../platform/persistence/database.module.js';
import { SNAPSHOT_COLUMNS, SNAPSHOT_TABLES } from './session-snapshot.repository.js';

/**
 * The statements of the session check, on the connections of `CHECK_POOL`. Other reads of sessions are in
 * `session.repository.ts`.
 */

/** Reads each session as one JSON text. Most texts are the same as at the last read, so their parsed form is reused. */
export const READ: Prepared = {
  name: 'read sessions',
  text: `
  select id, row_to_json(found)::text as text
  from (select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.id = any($1::uuid[])) found`,
};

/**
 * Only moves a time forward, never changes an ended session, and skips a session whose saved time is recent enough.
 * It skips locked rows, so two flushes cannot deadlock. The lock means that another transaction refreshes or ends the
 * session; otherwise the next use marks it.
 */
const SAVE_LAST_SEEN = `
  with seen as (
    select id, to_timestamp(ms / 1000) as at from unnest($1::uuid[], $2::float8[]) at_once (id, ms)),
  due as (
    select s.id, seen.at from sessions s join seen using (id)
    where s.status = 'active' and s.last_seen_at <= seen.at - make_interval(secs => $3)
    for no key update of s skip locked)
  update sessions s set last_seen_at = due.at from due where s.id = due.id`;

/**
 * Saves when sessions were last seen.
 *
 * @param seen ids, and instants in milliseconds since the epoch
 * @param resolution milliseconds by which a time must be later than the saved one
 */
export async function saveLastSeen(
  pool: pg.Pool,
  seen: [id: string, instant: number][],
  resolution: number,
): Promise<void> {
  const [ids, instants] = [seen.map(([id]) => id), seen.map(([, instant]) => instant)];
  await pool.query(SAVE_LAST_SEEN, [ids, instants, resolution / 1_000]);
}
