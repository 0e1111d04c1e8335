import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createCache, type Cache } from 'cache-manager';
import { redisInsStore, type RedisStore } from 'cache-manager-redis-yet';
import { createClient } from 'redis';
import type { Logger } from '../common/logger.js';
import { within } from '../common/within.js';
import { CachePort, CacheUnavailable, type CacheValue } from './cache-port.js';

const COMPARE_AND_SET = `
  if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1`;

/**
 * The cache that instances share. Plain values go through cache-manager; the atomic steps use its
 * client.
 *
 * Keys live under the server's `run_id`, read again at each reconnect and unknown in between: a
 * server that was restored, replaced or promoted starts with an empty cache, whatever it holds.
 */
@Injectable()
export class RedisCache extends CachePort implements OnApplicationShutdown {
  override readonly kind = 'redis';
  private readonly client: Client;
  private readonly cache: Cache;
  private prefix: string | null = null;

  constructor(url: string, logger: Logger) {
    super();
    this.client = connect(url);
    // cache-manager-redis-yet is typed for an older client; it only calls get, set(PX) and del, which are the same.
    this.cache = createCache(redisInsStore(this.client as unknown as RedisStore['client']));
    const lost = (why?: unknown) => {
      if (this.prefix !== null)
        logger.warn({ err: why }, 'Redis is away; sessions are checked in PostgreSQL');
      this.prefix = null;
    };
    // Without a listener for `error` a dropped socket would end the process.
    this.client.on('error', lost).on('reconnecting', lost).on('end', lost).on('connect', lost);
    this.client.on('ready', () => void this.greet(logger).catch(lost));
  }

  /** Resolves when Redis is there; rejects after `timeout` ms, while attempts go on in the background. */
  async connect(timeout: number): Promise<void> {
    const ready = new Promise<void>((resolve) => this.client.once(GREETED, resolve));
    void this.client.connect().catch(() => undefined);
    await within(timeout, ready);
  }

  override readMany(keys: string[]): Promise<(CacheValue | null)[]> {
    return this.attempt(async (prefix) => {
      const values = await this.client.mGet(keys.map((key) => prefix + key));
      return values.map((value) => (value === null ? null : parse(value)));
    });
  }

  override setIfAbsent(entries: [string, CacheValue][], ttl: number): Promise<boolean[]> {
    return this.attempt((prefix) =>
      Promise.all(
        entries.map(async ([key, value]) => {
          const options = { condition: 'NX', expiration: { type: 'PX', value: wholeTtl(ttl) } } as const;
          return (await this.client.set(prefix + key, JSON.stringify(value), options)) === 'OK';
        }),
      ),
    );
  }

  override compareAndSet(
    key: string,
    expected: CacheValue,
    value: CacheValue,
    ttl: number,
  ): Promise<boolean> {
    return this.attempt(async (prefix) => {
      const answer = await this.client.eval(COMPARE_AND_SET, {
        keys: [prefix + key],
        arguments: [JSON.stringify(expected), JSON.stringify(value), String(wholeTtl(ttl))],
      });
      return answer === 1;
    });
  }

  override setMany(entries: [string, CacheValue][], ttl: number): Promise<void> {
    return this.attempt(async (prefix) => {
      await Promise.all(entries.map(([key, value]) => this.cache.set(prefix + key, value, wholeTtl(ttl))));
    });
  }

  override deleteMany(keys: string[]): Promise<void> {
    return this.attempt(async (prefix) => {
      await Promise.all(keys.map((key) => this.cache.del(prefix + key)));
    });
  }

  override ping(): Promise<void> {
    return this.attempt(async () => void (await this.client.ping()));
  }

  onApplicationShutdown(): void {
    this.prefix = null;
    if (this.client.isOpen) this.client.destroy();
  }

  private async attempt<T>(work: (prefix: string) => Promise<T>): Promise<T> {
    const prefix = this.prefix;
    if (prefix === null) throw new CacheUnavailable();
    try {
      const result = await work(prefix);
      // The server was replaced while the answer was under way: it is nobody's answer.
      if (this.prefix !== prefix) throw new CacheUnavailable();
      return result;
    } catch (error) {
      throw error instanceof CacheUnavailable ? error : new CacheUnavailable(error);
    }
  }

  private async greet(logger: Logger): Promise<void> {
    const info = await this.client.info('server');
    const runId = /^run_id:(\w+)/m.exec(info)?.[1];
    if (!runId) throw new Error('Redis does not tell its run_id: INFO must be allowed');
    this.prefix = `drawbridge:${runId}:`;
    logger.debug('Redis is there');
    this.client.emit(GREETED);
  }
}

const GREETED = 'drawbridge-greeted';

/** What is not JSON is not ours, and as good as nothing: one bad key must not take the others down with it. */
function parse(text: string): CacheValue | null {
  try {
    return JSON.parse(text) as CacheValue;
  } catch {
    return null;
  }
}

/** A time to live that rounds to 0 would mean "for ever" to cache-manager-redis-yet. */
function wholeTtl(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}

type Client = ReturnType<typeof connect>;

function connect(url: string) {
  return createClient({
    url,
    // A command is refused rather than kept for a server that is away: PostgreSQL answers meanwhile.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 50_000,
    pingInterval: 1_000,
    socket: {
      connectTimeout: 2_000,
      socketTimeout: 3_000,
      reconnectStrategy: (attempt: number) => Math.min(25 * 2 ** attempt, 1_000),
    },
  });
}
