import { Injectable } from '@nestjs/common';
import { RateLimiterRedis, RateLimiterRes, type RateLimiterLike } from 'rate-limiter-flexible';
import { CachePort } from '../cache/cache-port.js';
import { isRedis } from '../cache/redis-calls.js';
import { Clock } from '../runtime/clock.js';
import { milliseconds } from '../settings/duration.js';
import { Settings } from '../settings/settings.js';
import {
  MemoryAttemptCounters,
  RedisAttemptCounters,
  type AttemptCounters,
} from './attempts/attempt-counters.js';
import { MemoryLimiter } from './memory-limiter.js';
import type { Limit } from './policies.js';
import { RedisCounters } from './redis-counters.js';
import { PRODUCT } from '../../product.js';

/** The part of a limit that one instance allows while it counts alone. */
const SHARE_ALONE = 0.5;

/** A fixed window per key. */
export interface Window {
  /**
   * Counts one request.
   *
   * @returns the milliseconds to wait instead; 0 when the request is allowed
   */
  consume(key: string): Promise<number>;
  /** Takes one counted request back. */
  refund(key: string): Promise<void>;
}

/**
 * Creates rate limiters. With Redis, instances share the counters, and each instance falls back to its own memory.
 * Without Redis, the counters are in memory.
 */
@Injectable()
export class RateLimiterFactory {
  private readonly redis: RedisCounters | null;

  constructor(
    cache: CachePort,
    private readonly clock: Clock,
    settings: Settings,
  ) {
    this.redis = isRedis(cache) ? new RedisCounters(cache.servers, settings.cacheBudget, clock) : null;
  }

  /** @param name must be unique; it is part of the keys */
  window(name: string, { limit, per }: Limit): Window {
    const options = {
      keyPrefix: `${PRODUCT.redisPrefix}limit:${name}`,
      points: limit,
      duration: milliseconds(per) / 1_000,
    };
    if (!this.redis) return windowOf(new MemoryLimiter(options, this.clock));
    const insurance = { ...options, points: Math.ceil(limit * SHARE_ALONE) };
    return windowOf(
      new RateLimiterRedis({
        ...options,
        storeClient: this.redis,
        useRedisPackage: true,
        insuranceLimiter: new MemoryLimiter(insurance, this.clock),
      }),
    );
  }

  /** The counters of attempts at secrets. */
  attempts(): AttemptCounters {
    return this.redis
      ? new RedisAttemptCounters(this.redis, this.clock)
      : new MemoryAttemptCounters(this.clock);
  }
}

function windowOf(limiter: RateLimiterLike): Window {
  return {
    consume: (key) =>
      limiter.consume(key).then(
        () => 0,
        (refusal: unknown) => {
          if (refusal instanceof RateLimiterRes) return Math.max(1, refusal.msBeforeNext);
          throw refusal;
        },
      ),
    refund: async (key) => void (await limiter.reward(key)),
  };
}
