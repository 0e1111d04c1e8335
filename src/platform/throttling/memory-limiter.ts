import { RateLimiterCompatibleAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import { boundedMap } from '../performance/bounded-map.js';
import type { Clock } from '../runtime/clock.js';

/**
 * About 15 MB. An attacker with more addresses than this can evict counters, but counting addresses does not stop
 * that attacker anyway.
 */
const MAX_KEYS = 100_000;

interface Count {
  points: number;
  endsAt: number;
}

/** Fixed windows in the memory of this process, with a bounded number of keys. */
export class MemoryCounts {
  private readonly counts = boundedMap<Count>(MAX_KEYS);

  constructor(private readonly clock: Clock) {}

  /**
   * Adds points to the current window of a key.
   *
   * @returns the points in the window, and the milliseconds until it ends
   */
  add(key: string, points: number, windowMs: number): [points: number, msLeft: number] {
    const now = this.clock.now();
    let count = this.counts.get(key);
    if (!count || count.endsAt <= now) this.counts.set(key, (count = { points: 0, endsAt: now + windowMs }));
    count.points = Math.max(0, count.points + points);
    return [count.points, count.endsAt - now];
  }
}

/**
 * {@link MemoryCounts} as a limiter of rate-limiter-flexible, with only the methods that are used here. The library's
 * own memory limiter keeps every key with a timer, and does not use an injectable clock.
 */
export class MemoryLimiter extends RateLimiterCompatibleAbstract {
  override readonly keyPrefix = '';
  // The library sets these properties on its insurance limiter.
  override blockDuration = 0;
  override execEvenly = false;
  private readonly counts: MemoryCounts;

  /** @param duration seconds, as everywhere in the library */
  constructor(
    private readonly options: { points: number; duration: number },
    clock: Clock,
  ) {
    super();
    this.counts = new MemoryCounts(clock);
  }

  override async consume(key: string, points = 1): Promise<RateLimiterRes> {
    const result = this.add(key, points);
    if (result.consumedPoints > this.options.points) throw result;
    return result;
  }

  override async reward(key: string, points = 1): Promise<RateLimiterRes> {
    return this.add(key, -points);
  }

  private add(key: string, points: number): RateLimiterRes {
    const [sum, msLeft] = this.counts.add(key, points, this.options.duration * 1_000);
    return new RateLimiterRes(Math.max(0, this.options.points - sum), msLeft, sum, sum === points);
  }
}
