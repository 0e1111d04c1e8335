import { createCache, type Cache, type Store } from 'cache-manager';
import { PRODUCT } from '../../product.js';
import { boundedMap } from '../performance/bounded-map.js';
import type { Clock } from '../runtime/clock.js';
import type { RedisCalls } from './redis-calls.js';

/** The token of `@nestjs/cache-manager`, so that its interceptor finds this cache. */
export const CACHE_MANAGER = 'CACHE_MANAGER';

/** Differs from the prefixes of the session cache and of the rate limits. */
const PREFIX = `${PRODUCT.redisPrefix}app:`;
const DEFAULT_TTL_MS = 60_000;
/** Without Redis. The least recently used values leave first. */
const MAX_VALUES = 10_000;

type Values = Pick<Store, 'get' | 'set' | 'del' | 'ttl'>;

/**
 * The cache of the application's own values.
 * @param calls the calls to Redis, on the connections of the session cache; null to use the memory of this process
 */
export function applicationCache(calls: RedisCalls | null, clock: Clock): Cache {
  const { get, set, del, ttl } = calls ? redisValues(calls) : memoryValues(clock);
  const store: Store = {
    get,
    del,
    ttl,
    async set(key, value, ms = DEFAULT_TTL_MS) {
      // Without this check the error of the caller would look like a failure of Redis.
      if (JSON.stringify(value ?? undefined) === undefined)
        throw new TypeError('a cached value must be JSON, and not null');
      await set(key, value, Math.ceil(ms));
    },
    mget: (...keys) => Promise.all(keys.map((key) => get(key))),
    mset: async (values, ms) =>
      void (await Promise.all(values.map(([key, value]) => store.set(key, value, ms)))),
    mdel: async (...keys) => void (await Promise.all(keys.map(del))),
    keys: () => Promise.reject(new Error(NOT_OFFERED)),
    reset: () => Promise.reject(new Error(NOT_OFFERED)),
  };
  return createCache(store);
}

/** In cache-manager-redis-yet, `reset` is FLUSHDB: it would delete the session cache and the rate limits. */
const NOT_OFFERED = 'the application shares its Redis, so its cache cannot list or delete all keys';

/** A value has the same form as in Redis: a JSON text, so a Date comes back as a string in both. */
function memoryValues(clock: Clock): Values {
  const texts = boundedMap<string>(MAX_VALUES, { perf: { now: () => clock.now() }, ttlResolution: 0 });
  return {
    async get<T>(key: string) {
      const text = texts.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as T);
    },
    set: async (key, value, ttl) => void texts.set(key, JSON.stringify(value), { ttl: ttl! }),
    del: async (key) => void texts.delete(key),
    ttl: async (key) => texts.getRemainingTTL(key),
  };
}

function redisValues(calls: RedisCalls): Values {
  const ask = async <T>(key: string, work: (store: Store, key: string) => Promise<T>) => {
    const name = PREFIX + key;
    return calls.ask(name, ({ cache }) => work(cache.store, name)).catch(() => undefined);
  };
  return {
    get: <T>(key: string) => ask(key, (store, name) => store.get<T>(name)),
    set: (key, value, ttl) => ask(key, (store, name) => store.set(name, value, ttl)),
    del: (key) => ask(key, (store, name) => store.del(name)),
    ttl: async (key) => (await ask(key, (store, name) => store.ttl(name))) ?? -1,
  };
}
