import { Injectable } from '@nestjs/common';
import type { LRUCache } from 'lru-cache';
import { boundedMap } from '../performance/bounded-map.js';
import { Clock } from '../runtime/clock.js';
import { CachePort, type CacheValue } from './cache-port.js';

/** About 30 MB of cached sessions. The least recently used leave first, which only costs a read. */
const MAX_ENTRIES = 100_000;

/** The cache of a single instance. Each method completes before it first yields, so its steps are atomic. */
@Injectable()
export class MemoryCache extends CachePort {
  override readonly kind = 'memory';
  private readonly entries: LRUCache<string, string>;

  constructor(clock: Clock) {
    super();
    this.entries = boundedMap(MAX_ENTRIES, { perf: { now: () => clock.now() }, ttlResolution: 0 });
  }

  async readMany(keys: string[]): Promise<(string | null)[]> {
    return keys.map((key) => this.entries.get(key) ?? null);
  }

  async setIfAbsent(entries: [string, CacheValue][], ttl: number): Promise<boolean[]> {
    return entries.map(([key, value]) => {
      if (this.entries.has(key)) return false;
      this.set(key, value, ttl);
      return true;
    });
  }

  async compareAndSet(swaps: [string, CacheValue, CacheValue][], ttl: number): Promise<boolean[]> {
    return swaps.map(([key, expected, value]) => {
      if (this.entries.get(key) !== JSON.stringify(expected)) return false;
      this.set(key, value, ttl);
      return true;
    });
  }

  async setMany(entries: [string, CacheValue][], ttl: number): Promise<void> {
    for (const [key, value] of entries) this.set(key, value, ttl);
  }

  async deleteMany(keys: string[]): Promise<void> {
    for (const key of keys) this.entries.delete(key);
  }

  async ping(): Promise<void> {}

  private set(key: string, value: CacheValue, ttl: number): void {
    this.entries.set(key, JSON.stringify(value), { ttl });
  }
}
