import type pg from 'pg';
import type { Prepared } from '../../platform/persistence/database.module.js';
import type { RevocationNotice } from './denial-list.js';
import type { EndReason } from './end-reason.js';
import type { RevocationKind } from './revocation.entity.js';

/** Notices that one statement reads: about a megabyte. */
const PAGE = 5_000;
/**
 * Start at the oldest unexpired revocation; an expired one concerns no unexpired token. `statement_timestamp()`
 * (stable) lets the planner use the index; `clock_timestamp()` (volatile) does not.
 */
const START = `
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
      date_part('epoch', expires_at) * 1000)), '[]')::text from page) as notices`,
};

interface Page {
  cursor: string;
  horizon: string;
  /** The database's time, in milliseconds since the epoch. */
  now: number;
  /** `newest`: the highest number of a committed revocation. `last`: the highest number ever assigned. */
  newest: string | null;
  last: string | null;
  /** The position after which the next page begins; null if there is no next page. */
  next: Place | null;
  /** JSON of {@link Row}s. It is parsed after the next page has been requested. */
  notices: string;
}

type Place = [xid: string, seq: string];

/**
 * An array with floating-point numbers. PostgreSQL needs half the time of an object with `extract`, and a boot waits
 * for it.
 */
type Row = [
  kind: RevocationKind,
  subjects: string[],
  tokenId: string | null,
  reason: EndReason,
  notBefore: number | null,
  createdAt: number,
  expiresAt: number,
];

/**
 * The position of one instance in the revocation log. It reads new revocations, misses none, and knows up to which
 * number it has read all.
 */
export class RevocationCursor {
  private position = '0';
  /** Every revocation up to this number has been read, and none of them can still commit. */
  private settledSeq = 0;
  private nextSettled = { seq: 0, horizon: 0n };
  private lastSeq = 0;

  /**
   * Call it on every new connection before the first read. The server may have been promoted or restored, and then
   * its transaction ids start elsewhere.
   */
  async begin(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ start: string }>(START);
    this.position = rows[0]!.start;
    this.settledSeq = 0;
    this.nextSettled = { seq: 0, horizon: 0n };
  }

  /**
   * Applies every revocation that committed before the call. Some are applied again.
   *
   * @returns the database's time at the first read
   */
  async advance(client: pg.Client, apply: (notice: RevocationNotice) => void): Promise<Date> {
    const pageAfter = async (values: Place) => (await client.query<Page>({ ...POLL, values })).rows[0]!;
    // If a later page misses a revocation, its transaction was still open at the first page. The next poll starts at
    // the first page's cursor and reads it.
    const first = await pageAfter([this.position, '0']);
    let page: Page | null = first;
    while (page) {
      // PostgreSQL reads the next page while this one is applied. A boot has many pages.
      const asked: Promise<Page> | null = page.next && pageAfter(page.next);
      for (const row of JSON.parse(page.notices) as Row[]) apply(noticeOf(row));
      page = await asked;
    }
    this.settle(first);
    return new Date(first.now);
  }

  /** Whether the revocation with this number has certainly been read. */
  hasPassed(seq: number): boolean {
    return seq <= this.settledSeq;
  }

  /** Whether a revocation with this number had been started by the last advance. */
  knows(seq: number): boolean {
    return seq <= this.lastSeq;
  }

  /**
   * A revocation gets its transaction id before its number. Take a number that had committed at a poll: every smaller
   * number that could still commit belonged to a transaction open at that poll. When those transactions have ended,
   * the list is complete up to that number.
   */
  private settle({ cursor, horizon, newest, last }: Page): void {
    this.position = cursor;
    this.lastSeq = Number(last);
    if (BigInt(cursor) < this.nextSettled.horizon) return;
    this.settledSeq = Math.max(this.settledSeq, this.nextSettled.seq);
    this.nextSettled = { seq: Number(newest), horizon: BigInt(horizon) };
  }
}

function noticeOf([kind, subjects, tokenId, reason, notBefore, createdAt, expiresAt]: Row): RevocationNotice {
  return {
    kind,
    subjects,
    tokenId,
    reason,
    notBefore: notBefore === null ? null : Math.round(notBefore),
    createdAt: Math.round(createdAt),
    expiresAt: Math.round(expiresAt),
  };
}
