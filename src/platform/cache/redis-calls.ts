import { Breaker } from '../runtime/breaker.js';
import type { Clock } from '../runtime/clock.js';
import { withTimeout } from '../runtime/with-timeout.js';
import { type CachePort, CacheUnavailable } from './cache-port.js';
import type { RedisCache } from './redis-cache.js';
import type { RedisNode } from './redis-node.js';
import type { RedisServers } from './redis-servers.js';

/**
 * Calls for one key each, on the connection of the session cache to the server that has the key. No call waits longer
 * than the cache's time limit, or waits for a server that keeps failing.
 */
export class RedisCalls {
  private readonly breakers = new WeakMap<RedisNode, Breaker>();

  /** @param budget how long a call waits for an answer, in ms */
  constructor(
    private readonly servers: RedisServers,
    private readonly budget: number,
    private readonly clock: Clock,
  ) {}

  /**
   * @param key with its prefix, as stored in Redis
   * @throws CacheUnavailable when the server is down or has failed just now; Error when it exceeds the time limit
   */
  async ask<T>(key: string, work: (node: RedisNode) => Promise<T>): Promise<T> {
    const node = this.servers.nodeFor(key);
    if (!node?.isMaster) throw new CacheUnavailable();
    const breaker = this.breakerOf(node);
    if (!breaker.allows(this.clock.monotonic())) throw new CacheUnavailable();
    try {
      const answer = await withTimeout(
        this.budget,
        node.attempt(() => work(node)),
      );
      breaker.succeeded();
      return answer;
    } catch (error) {
      breaker.failed(this.clock.monotonic());
      throw error;
    }
  }

  private breakerOf(node: RedisNode): Breaker {
    let breaker = this.breakers.get(node);
    // A request makes several calls to a server, but should wait only once.
    if (!breaker) this.breakers.set(node, (breaker = new Breaker(1)));
    return breaker;
  }
}

export function isRedis(cache: CachePort): cache is RedisCache {
  return cache.kind === 'redis';
}
