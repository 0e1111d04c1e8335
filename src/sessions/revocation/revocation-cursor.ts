import type pg from 'pg';
import type { RevocationNotice } from './denial-list.js';
import { readFeedPage, readFeedStart, type FeedPage, type FeedRow } from './revocation.repository.js';

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
    this.position = await readFeedStart(client);
    this.settledSeq = 0;
    this.nextSettled = { seq: 0, horizon: 0n };
  }

  /**
   * Applies every revocation that committed before the call. Some are applied again.
   *
   * @returns the database's time at the first read
   */
  async advance(client: pg.Client, apply: (notice: RevocationNotice) => void): Promise<Date> {
    // If a later page misses a revocation, its transaction was still open at the first page. The next poll starts at
    // the first page's cursor and reads it.
    const first = await readFeedPage(client, [this.position, '0']);
    let page: FeedPage | null = first;
    while (page) {
      // PostgreSQL reads the next page while this one is applied. A boot has many pages.
      const asked: Promise<FeedPage> | null = page.next && readFeedPage(client, page.next);
      for (const row of JSON.parse(page.notices) as FeedRow[]) apply(noticeOf(row));
      page = await asked;
    }
    this.settle(first);
    return new Date(first.now);
  }

  /** Every revocation up to this number has certainly been read. */
  get settled(): number {
    return this.settledSeq;
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
  private settle({ cursor, horizon, newest, last }: FeedPage): void {
    this.position = cursor;
    this.lastSeq = Number(last);
    if (BigInt(cursor) < this.nextSettled.horizon) return;
    this.settledSeq = Math.max(this.settledSeq, this.nextSettled.seq);
    this.nextSettled = { seq: Number(newest), horizon: BigInt(horizon) };
  }
}

function noticeOf([
  kind,
  subjects,
  tokenId,
  reason,
  notBefore,
  createdAt,
  expiresAt,
  seq,
]: FeedRow): RevocationNotice {
  return {
    seq,
    kind,
    subjects,
    tokenId,
    reason,
    notBefore: notBefore === null ? null : Math.round(notBefore),
    createdAt: Math.round(createdAt),
    expiresAt: Math.round(expiresAt),
  };
}
