import { CachePort, CacheUnavailable, type CacheValue } from '../../platform/cache/cache-port.js';
import { Breaker } from '../../platform/runtime/breaker.js';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../../platform/runtime/clock.js';
import { ParseCache } from '../../platform/performance/parse-cache.js';
import { random } from '../../platform/runtime/random.js';
import { withTimeout } from '../../platform/runtime/with-timeout.js';
import { Settings } from '../../platform/settings/settings.js';
import type { Ended } from '../revocation/end-reason.js';

/**
 * A reader has this long between taking its lease and filling the entry. Then the lease expires, and the reader may
 * no longer fill.
 */
const LEASE_MS = 2_000;
/** How long a revocation waits for the cache to acknowledge. After that its receipt is `pending`. */
const TOMBSTONE_TIMEOUT_MS = 1_000;

/** The right to fill one entry once, from a read that begins after the lease was taken. */
export interface Lease {
  id: string;
  token: string;
}

/** The common part of all kinds of records. `at` is in milliseconds since the epoch. */
export interface CachedRecord {
  readonly ended: { readonly reason: string; readonly at: number } | null;
}

/** The cache entry of a record: a lease (a reader is asking Postgres), a live record, or a tombstone. */
export type CacheEntry<Snapshot extends CachedRecord> =
  | { state: 'leased' }
  | { state: 'live'; snapshot: Snapshot; believeUntil: number }
  | { state: 'ended'; ended: NonNullable<Snapshot['ended']> };

/** How one kind of record is written to the cache. */
export interface CacheCodec<Snapshot extends CachedRecord> {
  /** `believeUntil` is part of the entry. So a cache that fails to expire entries cannot extend their lifetime. */
  packLive(snapshot: Snapshot, believeUntil: number): CacheValue;
  /** @returns null for an entry that this version did not write; it counts as a miss, not as an error */
  unpack(id: string, text: string): CacheEntry<Snapshot> | null;
}

/** The first element of a tombstone, which is an array. */
export const ENDED = 0;

/** The tombstone of an ended record, for records of every kind. */
export function packEnded({ reason, at }: NonNullable<CachedRecord['ended']>): CacheValue {
  return [ENDED, reason, at];
}

/**
 * The cache of the records that checks read: of sessions and of API keys, whose ids are never the same. Three rules
 * prevent stale entries:
 * - A reader writes a record by compare-and-set from its own lease. So a tombstone or a delete after the lease wins
 *   over any reader, however slow.
 * - A revocation writes its tombstone after its commit, never before.
 * - Nothing else writes.
 */
export class LeasedCache<Snapshot extends CachedRecord> {
  private readonly breaker = new Breaker();
  private readonly entries: ParseCache<CacheEntry<Snapshot> | null>;

  constructor(
    private readonly cache: CachePort,
    private readonly clock: Clock,
    private readonly settings: Pick<Settings, 'cacheLease' | 'cacheBudget'>,
    private readonly codec: CacheCodec<Snapshot>,
  ) {
    this.entries = new ParseCache((id, text) => codec.unpack(id, text));
  }

  /**
   * The cached entries of these records; null for a record without an entry.
   *
   * @throws CacheUnavailable when the cache fails, exceeds its time limit, or has done so just now
   */
  async read(ids: string[]): Promise<Map<string, CacheEntry<Snapshot> | null>> {
    const values = await this.attempt(() => this.cache.readMany(ids.map(keyOf)));
    return new Map(ids.map((id, index) => [id, this.ifFresh(id, values[index] ?? null)]));
  }

  /**
   * Takes leases for those records for which no other reader holds one.
   *
   * @throws CacheUnavailable as {@link read}
   */
  async lease(ids: string[]): Promise<Lease[]> {
    const leases = ids.map((id) => ({ id, token: random.uuid() }));
    const entries = leases.map(({ id, token }): [string, CacheValue] => [keyOf(id), token]);
    const taken = await this.attempt(() => this.cache.setIfAbsent(entries, LEASE_MS));
    return leases.filter((_, index) => taken[index]);
  }

  /**
   * Writes the result of a Postgres read where the lease is still valid. A failure does no harm.
   *
   * @param readAt when the read of the snapshots began, in milliseconds since the epoch; their lifetime in the cache
   * starts then
   */
  async fill(leases: Lease[], snapshots: Map<string, Snapshot>, readAt: number): Promise<void> {
    const believeUntil = readAt + this.settings.cacheLease;
    const ttl = believeUntil - this.clock.now();
    const swaps = leases.flatMap(({ id, token }): [string, CacheValue, CacheValue][] => {
      const snapshot = snapshots.get(id);
      if (!snapshot) return [];
      const entry = snapshot.ended ? packEnded(snapshot.ended) : this.codec.packLive(snapshot, believeUntil);
      return [[keyOf(id), token, entry]];
    });
    if (ttl <= 0 || swaps.length === 0) return;
    await this.attempt(() => this.cache.compareAndSet(swaps, ttl)).catch(() => undefined);
  }

  /**
   * Writes tombstones for records, of any kind, whose end has committed, in one round trip. Rejects when the cache
   * does not acknowledge them.
   */
  async writeTombstones(ids: string[], ended: Ended): Promise<void> {
    const tombstone = packEnded(ended);
    const entries = ids.map((id): [string, CacheValue] => [keyOf(id), tombstone]);
    // Every older entry has expired by then, and Postgres itself refuses the record.
    const ttl = this.settings.cacheLease + LEASE_MS;
    await withTimeout(TOMBSTONE_TIMEOUT_MS, this.cache.setMany(entries, ttl));
  }

  /**
   * Removes records that have changed without ending. This also cancels the leases of readers that may have read the
   * old state. Rejects when the cache does not acknowledge.
   */
  async invalidate(ids: string[]): Promise<void> {
    await withTimeout(TOMBSTONE_TIMEOUT_MS, this.cache.deleteMany(ids.map(keyOf)));
  }

  /** Whether the circuit breaker is open: the cache fails so often that it is not asked. */
  isCircuitOpen(): boolean {
    return this.breaker.isOpen;
  }

  private ifFresh(id: string, text: string | null): CacheEntry<Snapshot> | null {
    const entry = text === null ? null : this.entries.of(id, text);
    if (entry?.state !== 'live') return entry;
    const left = entry.believeUntil - this.clock.now();
    // A correct instance never claims more than one lease, plus the clock offset of two instances.
    return left > 0 && left <= this.settings.cacheLease + MAX_CLOCK_OFFSET_MS ? entry : null;
  }

  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    if (!this.breaker.allows(this.clock.monotonic())) throw new CacheUnavailable();
    try {
      const result = await withTimeout(this.settings.cacheBudget, work());
      this.breaker.succeeded();
      return result;
    } catch (error) {
      this.breaker.failed(this.clock.monotonic());
      throw error instanceof CacheUnavailable ? error : new CacheUnavailable(error);
    }
  }
}

function keyOf(id: string): string {
  return `session:${id}`;
}
