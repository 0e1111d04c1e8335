import type { MessageEvent } from '@nestjs/common';
import { sha256 } from '../../platform/runtime/sha256.js';
import type { RevocationNotice } from '../../sessions/revocation/denial-list.js';

/**
 * At one revocation per second, a verifier may be away for 15 minutes and still resume; later it lists again. All kept events
 * may wait in one connection: `OpenConnection` destroys one with more than 1,000.
 */
export const MAX_KEPT_EVENTS = 900;
/** Followers that get a heartbeat before other work has its turn: 50 writes to sockets take about 2 ms. */
const HEARTBEAT_SLICE = 50;
const CURSOR = /^([\w-]{1,64})\.(0|[1-9]\d{0,14})$/;

/** Tells a follower that it cannot resume: it reads the snapshot again. */
export const LIST_AGAIN: MessageEvent = { type: 'list_again', id: '', data: '{}' };

type Follower = (event: MessageEvent) => void;

/** The state of a log after its last event. A follower that has the same state has missed nothing. */
export interface FeedPosition {
  instance: string;
  position: number;
  /** In base64url: the SHA-256 of the previous chain value and the last event's line; at first, of the instance's id. */
  chain: string;
}

/**
 * The events of the revocation feed that this instance has published, numbered from 1. They are the same for all
 * followers, so each one is written once. `docs/reference/revocation-feed.md` is the protocol.
 */
export class FeedLog {
  private count = 0;
  private chain: Buffer;
  /** The event number n is at n modulo {@link MAX_KEPT_EVENTS}. */
  private readonly kept: MessageEvent[] = [];
  private readonly followers = new Set<Follower>();
  private beating: { event: MessageEvent; left: Follower[] } | null = null;

  /** @param instance a random id: after a restart no cursor of the former process is valid */
  constructor(private readonly instance: string) {
    this.chain = sha256(instance);
  }

  get position(): FeedPosition {
    return { instance: this.instance, position: this.count, chain: this.chain.toString('base64url') };
  }

  get cursor(): string {
    return `${this.instance}.${this.count}`;
  }

  get followerCount(): number {
    return this.followers.size;
  }

  /** Publishes a revocation to all followers. */
  append(notice: RevocationNotice): void {
    this.sendHeartbeats(Infinity); // a heartbeat is only right at its position
    const data = lineOf(notice);
    this.count += 1;
    this.chain = sha256(this.chain, data);
    const event = { type: 'revocation', id: this.cursor, data };
    this.kept[this.count % MAX_KEPT_EVENTS] = event;
    for (const follower of this.followers) follower(event);
  }

  /** Publishes a heartbeat to the present followers, in slices. It is not kept. */
  publishHeartbeat(data: string): void {
    this.sendHeartbeats(Infinity);
    this.beating = { event: { type: 'heartbeat', id: this.cursor, data }, left: [...this.followers] };
    this.sendHeartbeats(HEARTBEAT_SLICE);
  }

  /**
   * Calls the follower with each event after a cursor: first with the kept ones, then with new ones as they come. There is
   * no gap between the two.
   *
   * @param cursor absent: only new events
   * @returns a function that stops; null if an event after the cursor is no longer kept, or the cursor is not of this log
   */
  follow(cursor: string | undefined, follower: Follower): (() => void) | null {
    const after = cursor === undefined ? this.count : this.numberOf(cursor);
    if (after === null) return null;
    for (let next = after + 1; next <= this.count; next += 1) follower(this.kept[next % MAX_KEPT_EVENTS]!);
    this.followers.add(follower);
    return () => void this.followers.delete(follower);
  }

  private numberOf(cursor: string): number | null {
    const [, instance, digits] = CURSOR.exec(cursor) ?? [];
    const number = Number(digits);
    const isKept = number <= this.count && number >= this.count - MAX_KEPT_EVENTS;
    return instance === this.instance && isKept ? number : null;
  }

  private sendHeartbeats(most: number): void {
    if (!this.beating) return;
    const { event, left } = this.beating;
    for (const follower of left.splice(0, most)) if (this.followers.has(follower)) follower(event);
    if (left.length === 0) this.beating = null;
    else setImmediate(() => this.sendHeartbeats(HEARTBEAT_SLICE));
  }
}

/** A revocation as the feed sends it: JSON in one line. Verifiers hash its bytes. */
export function lineOf({
  seq,
  kind,
  subjects,
  tokenId,
  reason,
  notBefore,
  createdAt,
  expiresAt,
}: RevocationNotice): string {
  const denied = tokenId === null ? subjects : [tokenId];
  return JSON.stringify({ seq, kind, subjects: denied, reason, notBefore, createdAt, expiresAt });
}
