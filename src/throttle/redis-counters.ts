import type { RedisNode } from '../cache/redis-node.js';
import type { RedisServers } from '../cache/redis-servers.js';
import { CacheUnavailable } from '../cache/cache-port.js';
import { Breaker } from '../common/breaker.js';
import type { Clock } from '../common/clock.js';
import { within } from '../common/within.js';

/**
 * The Redis that instances share, as far as counters need it: scripts with one key, sent to whichever server has that key.
 * Nobody waits for longer than the cache's budget, nor for a server that keeps failing. It stands in for a client of node-redis.
 */
export class RedisCounters {
  private readonly breakers = new WeakMap<RedisNode, Breaker>();

  constructor(
    private readonly servers: RedisServers,
    private readonly budget: number,
    private readonly clock: Clock,
  ) {}

  /** @throws CacheUnavailable when the server errs or is slower than the budget, or was so just now */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown> {
    return this.ask(options.keys[0]!, ({ client }) => client.eval(script, options));
  }

  /** @throws as {@link eval} */
  del(key: string): Promise<unknown> {
    return this.ask(key, ({ client }) => client.del(key));
  }

  private async ask<T>(key: string, work: (node: RedisNode) => Promise<T>): Promise<T> {
    const node = this.servers.nodeFor(key);
    if (!node?.isMaster) throw new CacheUnavailable();
    const breaker = this.breakerOf(node);
    if (!breaker.allows(this.clock.monotonic())) throw new CacheUnavailable();
    try {
      const answer = await within(
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
    // One request asks several times, and is to wait once.
    if (!breaker) this.breakers.set(node, (breaker = new Breaker(1)));
    return breaker;
  }
}
