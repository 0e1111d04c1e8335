import { Injectable } from '@nestjs/common';
import { CachePort, CacheUnavailable, type CacheValue } from '../../platform/cache/cache-port.js';
import { Breaker } from '../../platform/runtime/breaker.js';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../../platform/runtime/clock.js';
import { ParseCache } from '../../platform/performance/parse-cache.js';
import { random } from '../../platform/runtime/random.js';
import { withTimeout } from '../../platform/runtime/with-timeout.js';
import { Settings } from '../../platform/settings/settings.js';
import type { Ended } from '../revocation/end-reason.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { packEnded, packLive, unpack, type SessionCacheEntry } from './session-cache.codec.js';

/**
 * A reader has this long between taking its lease and filling the entry. Then the lease expires, and the reader may
 * no longer fill.
 */
const LEASE_MS = 2_000;
/** How long a revocation waits for the cache to acknowledge. After that its receipt is `pending`. */
const TOMBSTONE_TIMEOUT_MS = 1_000;

/** The right to fill one key once, from a read that begins after the lease was taken. */
export interface Lease {
  sessionId: string;
  token: string;
}

/**
 * The session cache of the session check. Three rules prevent stale entries:
 * - A reader writes a session by compare-and-set from its own lease. So a tombstone or a delete after the lease wins
 *   over any reader, however slow.
 * - A revocation writes its tombstone after its commit, never before.
 * - Nothing else writes.
 */
@Injectable()
export class SessionCache {
  private readonly breaker = new Breaker();
  private readonly entries = new ParseCache(unpack);

  constructor(
    private readonly cache: CachePort,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * The cached entries of these sessions; null for a session without an entry.
   *
   * @throws CacheUnavailable when the cache fails, exceeds its time limit, or has done so just now
   */
  async read(sessionIds: string[]): Promise<Map<string, SessionCacheEntry | null>> {
    const values = await this.attempt(() => this.cache.readMany(sessionIds.map(keyOf)));
    return new Map(sessionIds.map((id, index) => [id, this.ifFresh(id, values[index] ?? null)]));
  }

  /**
   * Takes leases for those sessions for which no other reader holds one.
   *
   * @throws CacheUnavailable as {@link read}
   */
  async lease(sessionIds: string[]): Promise<Lease[]> {
    const leases = sessionIds.map((sessionId) => ({ sessionId, token: random.uuid() }));
    const entries = leases.map(({ sessionId, token }): [string, CacheValue] => [keyOf(sessionId), token]);
    const taken = await this.attempt(() => this.cache.setIfAbsent(entries, LEASE_MS));
    return leases.filter((_, index) => taken[index]);
  }

  /**
   * Writes the result of a Postgres read where the lease is still valid. A failure does no harm.
   *
   * @param readAt when the read of the snapshots began, in milliseconds since the epoch; their lifetime in the cache
   * starts then
   */
  async fill(leases: Lease[], snapshots: Map<string, SessionSnapshot>, readAt: number): Promise<void> {
    const believeUntil = readAt + this.settings.cacheLease;
    const ttl = believeUntil - this.clock.now();
    const swaps = leases.flatMap(({ sessionId, token }): [string, CacheValue, CacheValue][] => {
      const snapshot = snapshots.get(sessionId);
      if (!snapshot) return [];
      const entry = snapshot.ended ? packEnded(snapshot.ended) : packLive(snapshot, believeUntil);
      return [[keyOf(sessionId), token, entry]];
    });
    if (ttl <= 0 || swaps.length === 0) return;
    await this.attempt(() => this.cache.compareAndSet(swaps, ttl)).catch(() => undefined);
  }

  /**
   * Writes tombstones for sessions whose end has committed, in one round trip. Rejects when the cache does not
   * acknowledge them.
   */
  async writeTombstones(sessionIds: string[], ended: Ended): Promise<void> {
    const tombstone = packEnded(ended);
    const entries = sessionIds.map((id): [string, CacheValue] => [keyOf(id), tombstone]);
    // Every older entry has expired by then, and Postgres itself refuses the session.
    const ttl = this.settings.cacheLease + LEASE_MS;
    await withTimeout(TOMBSTONE_TIMEOUT_MS, this.cache.setMany(entries, ttl));
  }

  /**
   * Removes sessions that have changed without ending. This also cancels the leases of readers that may have read the
   * old state. Rejects when the cache does not acknowledge.
   */
  async invalidate(sessionIds: string[]): Promise<void> {
    await withTimeout(TOMBSTONE_TIMEOUT_MS, this.cache.deleteMany(sessionIds.map(keyOf)));
  }

  /** Whether the circuit breaker is open: the cache fails so often that it is not asked. */
  isCircuitOpen(): boolean {
    return this.breaker.isOpen;
  }

  private ifFresh(sessionId: string, text: string | null): SessionCacheEntry | null {
    const entry = text === null ? null : this.entries.of(sessionId, text);
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

function keyOf(sessionId: string): string {
  return `session:${sessionId}`;
}
