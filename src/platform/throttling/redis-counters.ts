import type { RedisNode } from '../cache/redis-node.js';
import type { RedisServers } from '../cache/redis-servers.js';
import { CacheUnavailable } from '../cache/cache-port.js';
import { Breaker } from '../runtime/breaker.js';
import type { Clock } from '../runtime/clock.js';
import { withTimeout } from '../runtime/with-timeout.js';

/**
 * The subset of a node-redis client that the counters need. It sends a script with one key to the server that has
 * this key. No call waits longer than the cache's time limit, or waits for a server that keeps failing.
 */
export class RedisCounters {
  private readonly breakers = new WeakMap<RedisNode, Breaker>();

  constructor(
    private readonly servers: RedisServers,
    private readonly budget: number,
    private readonly clock: Clock,
  ) {}

  /** @throws CacheUnavailable when the server fails, exceeds the time limit, or has done so just now */
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
