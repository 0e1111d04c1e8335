import { createHash } from 'node:crypto';
import type { DenialList } from '../denial-list.js';
import { isObject } from '../jws.js';
import type { KeySet } from '../key-set.js';
import type { FlooredClock, Time } from '../time.js';
import { entryOf, parseJson, type FeedEntry } from './entry.js';
import type { ServerEvent } from './event-stream.js';
import { verifyStatement, type FeedFacts } from './statement.js';

/** Without an authentic heartbeat for this long, the list may lack a revocation. So may one whose time is older. */
export const BLIND_AFTER_MS = 5_000;
const ENTRIES = '"entries":';

/** Why a part of the feed was not accepted, for the log. */
export type FeedFault = string;

export interface FeedStateOptions {
  issuer: string;
  keys: KeySet;
  denials: DenialList;
  time: Time;
  clock: FlooredClock;
  /** Called with each revocation that adds a denial. */
  onEntry: (entry: FeedEntry) => void;
}

/** The position of a verifier in the feed: it applies each part, and knows up to when its list is complete. */
export class FeedState {
  private facts: FeedFacts | null = null;
  private chain = Buffer.alloc(0);
  private position = 0;
  private provenAt = -Infinity;
  /** Numbers of applied revocations above the one up to which all are known. */
  private readonly applied = new Set<number>();

  constructor(private readonly options: FeedStateOptions) {}

  /** Whether there is a list at all. Before, no request is accepted. */
  get isListed(): boolean {
    return this.facts !== null;
  }

  /** For `Last-Event-ID`. */
  get cursor(): string {
    return `${this.facts!.instance}.${this.position}`;
  }

  /** Milliseconds since the time up to which the list is known to be complete. */
  age(): number {
    return this.options.time.monotonic() - this.provenAt;
  }

  isBlind(): boolean {
    return this.age() > BLIND_AFTER_MS;
  }

  /** Whether the list has the revocation with this number. */
  covers(seq: number): boolean {
    return this.facts !== null && (seq <= this.facts.seq || this.applied.has(seq));
  }

  /**
   * Adds the entries of a snapshot to the list, and continues from its position. Denials that it lacks stay: they leave
   * when they expire.
   *
   * @returns why it was not accepted, or null
   */
  async takeSnapshot(text: string): Promise<FeedFault | null> {
    const body = parseJson(text);
    if (!isObject(body) || !Array.isArray(body['entries'])) return 'the snapshot cannot be read';
    const facts = await verifyStatement(String(body['statement']), 'revocation-snapshot+jwt', this.options);
    if (!facts) return 'the statement of the snapshot is not authentic';
    if (body['cursor'] !== `${facts.instance}.${facts.position}`) return 'the cursor is not the signed one';
    const bytes = text.slice(text.indexOf(ENTRIES) + ENTRIES.length, -1);
    if (sha256(bytes).toString('base64url') !== facts.digest) return 'the entries are not the signed ones';
    const entries = body['entries'].map(entryOf);
    if (entries.includes(null)) return 'an entry of the snapshot cannot be read';
    const offset = this.offsetOf(facts);
    if (offset) return offset;
    this.applied.clear();
    this.settle(facts);
    this.position = facts.position;
    this.chain = Buffer.from(facts.chain, 'base64url');
    for (const entry of entries) this.add(entry!);
    return null;
  }

  /** Applies an event. @returns why the list has to be read again, or null */
  async take({ type, id, data }: ServerEvent): Promise<FeedFault | null> {
    if (type === 'revocation') return this.takeRevocation(id, data);
    if (type === 'heartbeat') return this.takeHeartbeat(data);
    return type === 'list_again' ? 'the application no longer has the events after our position' : null;
  }

  private takeRevocation(id: string, data: string): FeedFault | null {
    const entry = entryOf(parseJson(data));
    if (!entry) return 'a revocation cannot be read';
    // Applied even if another one is missing: it denies what it denies.
    this.add(entry);
    this.position += 1;
    this.chain = sha256(this.chain, data);
    return id === this.cursor ? null : 'an event is missing';
  }

  /** A heartbeat counts only if it describes exactly the events that have arrived, and is recent. */
  private async takeHeartbeat(data: string): Promise<FeedFault | null> {
    const facts = await verifyStatement(data, 'revocation-heartbeat+jwt', this.options);
    if (!facts) return 'a heartbeat is not authentic';
    if (facts.instance !== this.facts?.instance) return 'a heartbeat is of another instance';
    if (facts.position !== this.position || facts.chain !== this.chain.toString('base64url'))
      return 'the events that have arrived are not the signed ones';
    if (facts.time <= this.facts.time) return null; // a repeated one proves nothing new
    const offset = this.offsetOf(facts);
    if (offset) return offset;
    this.settle(facts);
    this.options.denials.forget(facts.time);
    return null;
  }

  private settle(facts: FeedFacts): void {
    const { time } = this.options;
    this.facts = facts;
    this.provenAt = time.monotonic() - Math.max(0, time.now() - facts.time);
    for (const seq of this.applied) if (seq <= facts.seq) this.applied.delete(seq);
  }

  private add(entry: FeedEntry): void {
    if (entry.seq > this.facts!.seq) this.applied.add(entry.seq);
    if (this.options.denials.add(entry)) this.options.onEntry(entry);
  }

  /**
   * An old statement proves nothing about now. One of the future shows that this machine's clock is behind: then its age
   * cannot be judged either.
   */
  private offsetOf({ time }: FeedFacts): FeedFault | null {
    this.options.clock.observe(time);
    const age = this.options.time.now() - time;
    if (age > BLIND_AFTER_MS) return `a statement is ${seconds(age)} old, or the clock is ahead`;
    return -age > BLIND_AFTER_MS ? `the clock is ${seconds(-age)} behind` : null;
  }
}

const seconds = (ms: number) => `${Math.round(ms / 1_000)} s`;

function sha256(...parts: (Buffer | string)[]): Buffer<ArrayBuffer> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest() as Buffer<ArrayBuffer>;
}
