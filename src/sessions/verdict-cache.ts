import { Inject, Injectable } from '@nestjs/common';
import { CachePort, CacheUnavailable, type CacheValue } from '../cache/cache-port.js';
import { Breaker } from '../common/breaker.js';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../common/clock.js';
import { LastReading } from '../common/last-reading.js';
import { random } from '../common/random.js';
import { within } from '../common/within.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Ended } from './end-reason.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { packEnded, packLive, unpack, type CachedVerdict } from './verdict.js';

/** A reader has so long between taking its lease and filling; then the lease is gone and so is its right to fill. */
const LEASE_MS = 2_000;
/** How long a revocation waits for the cache to acknowledge before it answers `pending`. */
const BURY_BUDGET_MS = 1_000;

/** The right to fill one key, once, from a read that begins after it was taken. */
export interface Lease {
  sessionId: string;
  token: string;
}

/**
 * The cached side of the session check. Three rules keep it from ever being stale:
 * - a verdict is written by compare-and-set from the writer's own lease, so a tombstone or a delete
 *   that came after the lease wins over any reader, however slow;
 * - a tombstone is written after the revocation has committed, never before;
 * - nothing else writes.
 */
@Injectable()
export class VerdictCache {
  private readonly breaker = new Breaker();
  private readonly verdicts = new LastReading(unpack);

  constructor(
    private readonly cache: CachePort,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * What the cache knows; null for a session it does not know.
   * @throws CacheUnavailable when it errs, is slower than its budget, or was so just now
   */
  async read(sessionIds: string[]): Promise<Map<string, CachedVerdict | null>> {
    const values = await this.attempt(() => this.cache.readMany(sessionIds.map(keyOf)));
    return new Map(sessionIds.map((id, index) => [id, this.believable(id, values[index] ?? null)]));
  }

  /** Leases for those sessions that nobody else holds one of. @throws CacheUnavailable as {@link read} */
  async lease(sessionIds: string[]): Promise<Lease[]> {
    const leases = sessionIds.map((sessionId) => ({ sessionId, token: random.uuid() }));
    const entries = leases.map(({ sessionId, token }): [string, CacheValue] => [keyOf(sessionId), token]);
    const taken = await this.attempt(() => this.cache.setIfAbsent(entries, LEASE_MS));
    return leases.filter((_, index) => taken[index]);
  }

  /**
   * Writes what Postgres said, where the lease still stands. Failing to is no harm.
   * @param readAt when the read began that made the snapshots: their verdicts are believed from then on
   */
  async fill(leases: Lease[], snapshots: Map<string, SessionSnapshot>, readAt: number): Promise<void> {
    const believeUntil = readAt + this.settings.cacheLease;
    const ttl = believeUntil - this.clock.now();
    const swaps = leases.flatMap(({ sessionId, token }): [string, CacheValue, CacheValue][] => {
      const snapshot = snapshots.get(sessionId);
      if (!snapshot) return [];
      const verdict = snapshot.ended ? packEnded(snapshot.ended) : packLive(snapshot, believeUntil);
      return [[keyOf(sessionId), token, verdict]];
    });
    if (ttl <= 0 || swaps.length === 0) return;
    await this.attempt(() => this.cache.compareAndSet(swaps, ttl)).catch(() => undefined);
  }

  /**
   * Tombstones for sessions whose end has committed, in one round trip.
   * Rejects when the cache did not acknowledge them.
   */
  async bury(sessionIds: string[], ended: Ended): Promise<void> {
    const tombstone = packEnded(ended);
    const entries = sessionIds.map((id): [string, CacheValue] => [keyOf(id), tombstone]);
    // Every verdict from before is gone by then, and Postgres refuses by itself.
    const ttl = this.settings.cacheLease + LEASE_MS;
    await within(BURY_BUDGET_MS, this.cache.setMany(entries, ttl));
  }

  /**
   * Forgets sessions of which something other than their end has changed, and kills the leases of
   * those who may have read the old state. Rejects as {@link bury}.
   */
  async forget(sessionIds: string[]): Promise<void> {
    await within(BURY_BUDGET_MS, this.cache.deleteMany(sessionIds.map(keyOf)));
  }

  /** Whether the cache fails so steadily that it is not even asked. */
  isShutOut(): boolean {
    return this.breaker.isOpen;
  }

  private believable(sessionId: string, text: string | null): CachedVerdict | null {
    const verdict = text === null ? null : this.verdicts.of(sessionId, text);
    if (verdict?.state !== 'live') return verdict;
    const left = verdict.believeUntil - this.clock.now();
    // Nobody who keeps to the protocol claims more than a lease, give or take the clocks of two instances.
    return left > 0 && left <= this.settings.cacheLease + MAX_CLOCK_OFFSET_MS ? verdict : null;
  }

  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    if (!this.breaker.allows(this.clock.monotonic())) throw new CacheUnavailable();
    try {
      const result = await within(this.settings.cacheBudget, work());
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
