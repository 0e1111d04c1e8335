import { LRUCache } from 'lru-cache';
import {
  RateLimiterRes,
  RateLimiterStoreAbstract,
  type IRateLimiterStoreOptions,
} from 'rate-limiter-flexible';
import type { Clock } from '../common/clock.js';

/** About 15 MB. Who makes room for themselves by asking from so many addresses is not stopped by counting addresses. */
const MOST_KEYS = 100_000;

interface Count {
  points: number;
  endsAt: number;
}

/** Fixed windows in this process' memory, which is bounded. */
export class MemoryCounts {
  private readonly counts = new LRUCache<string, Count>({ max: MOST_KEYS });

  constructor(private readonly clock: Clock) {}

  /** @returns the points of the window that runs, and the milliseconds that it still does */
  add(key: string, points: number, windowMs: number): [points: number, msLeft: number] {
    const now = this.clock.now();
    let count = this.counts.get(key);
    if (!count || count.endsAt <= now) this.counts.set(key, (count = { points: 0, endsAt: now + windowMs }));
    count.points = Math.max(0, count.points + points);
    return [count.points, count.endsAt - now];
  }
}

/**
 * rate-limiter-flexible's limiter over {@link MemoryCounts}: its own one keeps every key and a timer for each, and asks
 * no clock that could be moved.
 */
export class MemoryLimiter extends RateLimiterStoreAbstract {
  private readonly counts: MemoryCounts;

  constructor(options: Omit<IRateLimiterStoreOptions, 'storeClient'>, clock: Clock) {
    super({ ...options, storeClient: null });
    this.counts = new MemoryCounts(clock);
  }

  /** Called by the library, as is the next. */
  protected async _upsert(key: string, points: number, windowMs: number): Promise<[number, number]> {
    return this.counts.add(key, points, windowMs);
  }

  protected _getRateLimiterRes(_key: string, changed: number, [points, msLeft]: [number, number]) {
    return new RateLimiterRes(Math.max(0, this.points - points), msLeft, points, points === changed);
  }
}
