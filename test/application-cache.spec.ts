import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { CACHE_MANAGER, PRODUCT, type Cache } from '#core';
import { ALICE, resetStores, startApp, type TestApp } from './support/app.js';
import { FaultProxy } from './support/fault-proxy.js';
import { describeWithOwnRedis } from './support/redis.js';
import { judged, untilCached, untilThere } from './support/session-probes.js';
import { loggedIn } from './support/test-users.js';

/** Real: PostgreSQL, Redis, the application. Controlled: the clock, the network between the instance and Redis. */

const REDIS_URL = process.env['TEST_REDIS_URL'];
const SHORT_TTL = 300;

let app: TestApp;
let cache: Cache;

async function start(env: Record<string, string | undefined> = {}): Promise<void> {
  await resetStores();
  app = await startApp({ env });
  cache = app.get<Cache>(CACHE_MANAGER);
}

describe.each(REDIS_URL ? ['Redis', 'memory'] : ['memory'])("the application's cache in %s", (kind) => {
  beforeAll(() => start(kind === 'memory' ? { REDIS_URL: undefined } : {}));
  afterAll(() => app.close());

  it('returns JSON values until they are deleted', async () => {
    await cache.set('value', { at: new Date(0), list: [1, null] });
    expect(await cache.get('value')).toEqual({ at: '1970-01-01T00:00:00.000Z', list: [1, null] });
    await cache.del('value');
    expect(await cache.get('value')).toBeUndefined();
    await cache.store.mset([
      ['one', 1],
      ['two', 2],
    ]);
    await cache.store.mdel('one');
    expect(await cache.store.mget('one', 'two')).toEqual([undefined, 2]);
    await cache.del('two');
  });

  it('forgets a value after its time to live, or after a minute', async () => {
    await cache.set('short', 1, SHORT_TTL + 0.5);
    await cache.set('default', 1);
    expect(await cache.store.ttl('short')).toBeGreaterThan(0);
    expect(await cache.store.ttl('short')).toBeLessThanOrEqual(SHORT_TTL + 1);
    expect(await cache.store.ttl('default')).toBeGreaterThan(SHORT_TTL + 1);
    expect(await cache.store.ttl('default')).toBeLessThanOrEqual(60_000);
    await cache.store.mdel('short', 'default');
  });

  it('computes a value once, however many callers want it at the same time', async () => {
    let computed = 0;
    const value = () => cache.wrap('computed', async () => (computed += 1));
    expect(await Promise.all([value(), value(), value()])).toEqual([1, 1, 1]);
    expect(await value()).toBe(1);
    await cache.del('computed');
  });

  it.each([['null', null] as const, ['undefined', undefined] as const])('refuses %s', async (_, value) => {
    await expect(cache.set('nothing', value)).rejects.toThrow(TypeError);
  });

  it('does not list or delete all keys, because other programs may use the same Redis', async () => {
    await expect(cache.reset()).rejects.toThrow('cannot list or delete all keys');
    await expect(cache.store.keys()).rejects.toThrow('cannot list or delete all keys');
  });

  it('cannot reach a cached session by its key', async () => {
    const alice = await loggedIn(app, ALICE);
    await untilCached(app, alice);
    expect(await cache.get(`session:${alice.id}`)).toBeUndefined();
    await cache.set(`session:${alice.id}`, 'another value');
    expect(await judged(app, alice)).toBe('live, says the cache');
    await cache.del(`session:${alice.id}`);
    expect(await judged(app, alice)).toBe('live, says the cache');
  });
});

describe("the application's cache in memory", () => {
  it('follows the clock of the application', async () => {
    await start({ REDIS_URL: undefined });
    await cache.set('value', 1, 1_000);
    app.clock.advance(999);
    expect(await cache.get('value')).toBe(1);
    app.clock.advance(2);
    expect(await cache.get('value')).toBeUndefined();
    await app.close();
  });
});

describeWithOwnRedis(REDIS_URL, "the application's cache in a Redis that fails", () => {
  let proxy: FaultProxy;

  beforeAll(async () => {
    proxy = await FaultProxy.before(REDIS_URL!);
    await start({ REDIS_URL: proxy.url, CACHE_BUDGET: '50ms' });
  });
  beforeEach(() => untilThere(app));
  afterEach(() => proxy.heal());
  afterAll(async () => {
    await app.close();
    await proxy.close();
  });

  it('uses the connection of the session cache, and keys of its own', async () => {
    const { pairs } = proxy as unknown as { pairs: Set<unknown> };
    const redis = createClient({ url: REDIS_URL! });
    await redis.connect();
    await cache.set('value', 1);
    expect(await redis.get(`${PRODUCT.redisPrefix}app:value`)).toBe('1');
    await cache.del('value');
    expect(await redis.get(`${PRODUCT.redisPrefix}app:value`)).toBeNull();
    expect(pairs.size).toBe(1);
    redis.destroy();
  });

  it.each(['cut', 'stall'] as const)(
    'finds nothing, computes values, and does not reject (%s)',
    async (fault) => {
      await cache.set('value', 'cached');
      proxy[fault]();
      await cache.set('value', 'lost');
      expect(await cache.get('value')).toBeUndefined();
      expect(await cache.wrap('value', async () => 'computed')).toBe('computed');
      await cache.del('value');
      expect(await cache.store.ttl('value')).toBe(-1);
      await expect(cache.set('value', null)).rejects.toThrow(TypeError);
    },
  );
});
