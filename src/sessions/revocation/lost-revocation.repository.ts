import type { EntityManager } from 'typeorm';
import type { RevocationNotice } from './denial-list.js';

/** The statements of the table `revocations` after a failover that has lost commits: see `LostRevocations`. */

type Database = Pick<EntityManager, 'query'>;

/** Numbers that one statement skips, in some tens of milliseconds. */
const SKIPPED_AT_ONCE = 50_000;

/**
 * The notices, each with one subject, that the log does not have. A revocation that was recorded again has another number,
 * but the same expiry and subjects.
 */
export async function findLost(database: Database, notices: RevocationNotice[]): Promise<RevocationNotice[]> {
  const rows = await database.query<{ place: string }[]>(
    `select heard.place
     from unnest($1::text[], $2::timestamptz[]) with ordinality as heard (subject, expires_at, place)
     where not exists (
       select from revocations known where known.expires_at = heard.expires_at
         and (heard.subject = any(known.subjects::text[]) or (heard.subject is null and known.kind = 'everyone')))
       and not exists (select from revocations known where known.token_id = heard.subject)
     order by heard.place`,
    [
      notices.map(({ tokenId, subjects }) => tokenId ?? subjects[0] ?? null),
      notices.map(({ expiresAt }) => new Date(expiresAt)),
    ],
  );
  return rows.map(({ place }) => notices[Number(place) - 1]!);
}

/**
 * Makes the next number greater than this one. A new primary may lack the last assigned numbers and would assign them
 * again, to other revocations. Clients have receipts with the first ones.
 *
 * @returns whether numbers were missing
 */
export async function skipNumbersUpTo(database: Database, seq: number): Promise<boolean> {
  let last = await lastNumber(database);
  const wasBehind = last < seq;
  while (last < seq) {
    // Not `setval`: an instance may use the sequence, but not change it.
    await database.query(
      `select count(nextval(pg_get_serial_sequence('revocations', 'seq'))) from generate_series(1, $1::int)`,
      [Math.min(seq - last, SKIPPED_AT_ONCE)],
    );
    last = await lastNumber(database);
  }
  return wasBehind;
}

async function lastNumber(database: Database): Promise<number> {
  const [row] = await database.query<{ last: string | null }[]>(
    `select pg_sequence_last_value(pg_get_serial_sequence('revocations', 'seq')) as last`,
  );
  return Number(row!.last ?? 0);
}
