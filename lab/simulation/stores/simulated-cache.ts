import { CachePort, CacheUnavailable } from '../../../src/platform/cache/cache-port.js';
import type { Network, Sender } from './network.js';
import type { SimulatedRedis } from './simulated-redis.js';

/** The connection of an instance to Redis, with the identity that it has read from the server. */
export class SimulatedCache {
  private identity: number | null = null;

  constructor(
    private readonly from: Sender,
    private readonly network: Network,
    private readonly redis: SimulatedRedis,
  ) {}

  get knowsRedis(): boolean {
    return this.identity !== null;
  }

  /** Redis is another server, or its connection broke: its identity is unknown until the instance reads it. */
  lose(): void {
    this.identity = null;
  }

  async greet(): Promise<void> {
    this.identity = await this.network.fly(this.from, 'cache', () => this.redis.identity);
  }

  /**
   * The port like its Redis implementation: entries of readers carry the server's identity, those of revocations do
   * not.
   */
  port(): CachePort {
    const { redis } = this;
    const attempt = <T>(effect: (identity: number) => T) => this.attempt(effect);
    const port: Omit<CachePort, 'kind'> & { kind: CachePort['kind'] } = {
      kind: 'redis',
      misconfiguration: null,
      readMany: (keys) => attempt((identity) => keys.map((key) => redis.get(key, identity))),
      setIfAbsent: (entries, ttl) =>
        attempt((identity) =>
          entries.map(([key, value]) => {
            if (redis.get(key, identity) !== null) return false;
            redis.set(key, value, ttl, identity);
            return true;
          }),
        ),
      compareAndSet: (swaps, ttl) =>
        attempt((identity) =>
          swaps.map(([key, expected, value]) => {
            if (redis.get(key, identity) !== JSON.stringify(expected)) return false;
            redis.set(key, value, ttl, identity);
            return true;
          }),
        ),
      setMany: (entries, ttl) => attempt(() => entries.forEach(([key, value]) => redis.set(key, value, ttl))),
      deleteMany: (keys) => attempt(() => keys.forEach((key) => redis.delete(key))),
      ping: () => attempt(() => undefined),
    };
    return port;
  }

  private async attempt<T>(effect: (identity: number) => T): Promise<T> {
    const { identity } = this;
    if (identity === null) throw new CacheUnavailable();
    const result = await this.network.fly(this.from, 'cache', () => effect(identity));
    if (this.identity !== identity) throw new CacheUnavailable();
    return result;
  }
}
