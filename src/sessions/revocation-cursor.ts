import type pg from 'pg';
import type { Prepared } from '../database/database.module.js';
import type { RevocationNotice } from './denial-list.js';
import type { EndReason } from './end-reason.js';
import type { RevocationKind } from './revocation.entity.js';

/** As many notices as one statement reads: about a megabyte. */
const PAGE = 5_000;
/** Where to begin: what has expired before is of concern to no living token. Found by index among a month of others, which a volatile clock is not. */
const START = `
  with live as materialized (select xid from revocations where expires_at > statement_timestamp())
  select least((select xid from live order by xid limit 1), pg_snapshot_xmin(pg_current_snapshot()))::text as start`;

/**
 * Everything since the last poll, a page at a time. Sequence values commit out of order, so the cursor is the
 * oldest transaction that was still open at the last poll: all before it had been seen, the rest is
 * read again. A long write transaction elsewhere only makes it read more.
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
  /** The highest number of a revocation that has committed, and of one that was ever begun. */
  newest: string | null;
  last: string | null;
  /** After whom the next page begins, if there may be one. */
  next: Place | null;
  /** JSON of {@link Row}s, to be read when the next page has been asked for. */
  notices: string;
}

type Place = [xid: string, seq: string];

/** An array, and floating point: half of what an object and `extract` cost PostgreSQL, which a boot waits for. */
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
 * Where one instance stands in the log of revocations. Reads what is new, misses nothing, and knows up to which
 * number it has everything.
 */
export class RevocationCursor {
  private position = '0';
  /** No revocation up to this number is missing, nor can one still commit. */
  private settledSeq = 0;
  private nextSettled = { seq: 0, horizon: 0n };
  private lastSeq = 0;

  /** Before anything is read over a new connection: it may lead to a server that was promoted or restored and counts its transactions from elsewhere. */
  async begin(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ start: string }>(START);
    this.position = rows[0]!.start;
    this.settledSeq = 0;
    this.nextSettled = { seq: 0, horizon: 0n };
  }

  /**
   * Applies everything that had committed before the call, and some of it again.
   * @returns the database's time at the first read
   */
  async advance(client: pg.Client, apply: (notice: RevocationNotice) => void): Promise<Date> {
    const pageAfter = async (values: Place) => (await client.query<Page>({ ...POLL, values })).rows[0]!;
    // What a later page does not see had not ended before the first one, whose cursor it is read again from.
    const first = await pageAfter([this.position, '0']);
    let page: Page | null = first;
    while (page) {
      // PostgreSQL reads on while these are applied: a boot has many.
      const asked: Promise<Page> | null = page.next && pageAfter(page.next);
      for (const row of JSON.parse(page.notices) as Row[]) apply(noticeOf(row));
      page = await asked;
    }
    this.settle(first);
    return new Date(first.now);
  }

  /** Whether the revocation of that number has certainly been read. */
  hasPassed(seq: number): boolean {
    return seq <= this.settledSeq;
  }

  /** Whether a revocation of that number had been begun by the last advance. */
  knows(seq: number): boolean {
    return seq <= this.lastSeq;
  }

  /**
   * A revocation has its transaction id before it has its number. So of the numbers below one that had committed
   * at a poll, all that can still commit were open then: once they have ended, the list is whole up to there.
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
