import { afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { ApiKeyFormat } from '../../src/auth/api-keys/api-key-format.js';
import { ApiKeyCache } from '../../src/auth/api-keys/check/api-key-cache.js';
import { ApiKeyCheck } from '../../src/auth/api-keys/check/api-key-check.js';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import { BatchedReader } from '../../src/sessions/check/batched-reader.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { RevocationDispatcher } from '../../src/sessions/revocation/revocation-dispatcher.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationWriter } from '../../src/sessions/revocation/revocation-writer.js';
import { machineOf, type Machine } from '../../test/support/api-keys.js';
import { ADMIN, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { flushRedis, interruptAt } from '../../test/support/fault-hooks.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { PROBE_READ } from '../../test/support/probe-routes.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { createUser, loggedIn, type Person } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: two instances over HTTP, PostgreSQL, Redis. Between the second instance and its stores a network that fails.
 * The faults are those of `faults.spec.ts`. Both instances are deaf to the feed, so that the check itself has to refuse.
 */

const FLAGS = '/v1/probe/flags';
const APPLIED = { status: 200, body: { status: 'applied' } };

describeWithRedis('the check of an API key, when stores fail', () => {
  let toRedis: FaultProxy;
  let toPostgres: FaultProxy;
  let clock: TestClock;
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let machine: Machine & { ownerId: string };

  beforeAll(resetStores);
  beforeEach(async () => {
    clock = new TestClock();
    toRedis = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
    toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    a = await startApp({ clock });
    b = await startApp({ clock, env: { REDIS_URL: toRedis.url, DATABASE_URL: toPostgres.url } });
    admin = await loggedIn(a, ADMIN);
    const owner = await loggedIn(a, await createUser(a));
    machine = Object.assign(await machineOf(a, owner), { ownerId: owner.userId });
    for (const app of [a, b]) await warm(app);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all([a.close(), b.close()]);
    await Promise.all([toRedis.close(), toPostgres.close()]);
  });

  const warm = (app: TestApp) =>
    eventually(async () => {
      const read = await app.get(ApiKeyCache).read([machine.keyId]);
      if (read.get(machine.keyId)?.state !== 'live') {
        await machine.at(app).get(FLAGS);
        throw new Error('not cached yet');
      }
    });
  const beDeaf = () =>
    [a, b].forEach((app) =>
      jest.spyOn(app.get(RevocationSubscriber), 'catchUp').mockRejectedValue(new Error('deaf')),
    );
  const cutFromRedis = async () => {
    toRedis.cut();
    await eventually(() => expect(b.get(CachePort).ping()).rejects.toThrow(/unavailable/));
  };
  const endKey = (at: TestApp) => admin.at(at).delete(`/v1/admin/api-keys/${machine.keyId}`);
  /** The check alone. Over HTTP the denial list comes first, and may know of the end by itself. */
  const verdict = (app: TestApp): Promise<string> =>
    app
      .get(ApiKeyCheck)
      .require(
        app.get(ApiKeyFormat).parse(machine.apiKey!)!,
        { scope: PROBE_READ, consistency: 'cached' },
        null,
      )
      .then(
        () => 'live',
        ({ code }) => code as string,
      );

  it('refuses an ended key on an instance that is cut off from Redis, while another one ends it (S1)', async () => {
    beDeaf();
    await cutFromRedis();
    expect(await endKey(a)).toMatchObject(APPLIED);
    expect(await verdict(b)).toBe('auth.invalid_key');
    toRedis.heal();
    await eventually(() => b.get(CachePort).ping());
    for (let round = 0; round < 3; round++) expect(await verdict(b)).toBe('auth.invalid_key');
  });

  it('refuses the keys of a banned owner by their tombstones: the receipt of the ban covers them (S1)', async () => {
    beDeaf();
    const userId = machine.ownerId;
    const ban = await admin.post(`/v1/admin/users/${userId}/ban`, { reason: 'a test' });
    expect(ban).toMatchObject(APPLIED);
    for (const app of [a, b, a, b]) expect(await verdict(app)).toBe('auth.invalid_key');
  });

  it('accepts an ended key elsewhere until the bound of a pending receipt at the latest (S2)', async () => {
    beDeaf();
    for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
    await cutFromRedis();
    const receipt = await endKey(b);
    expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(await verdict(a)).toBe('live'); // the meaning of pending
    clock.advance(Date.parse(receipt.body.sessionTierBy) - clock.now());
    expect(await verdict(a)).toBe('auth.invalid_key');
  });

  it('answers 503 without both stores, and accepts the key again when they are back (S3)', async () => {
    await cutFromRedis();
    toPostgres.cut();
    machine.at(b);
    await eventually(async () =>
      expect(await machine.get(FLAGS)).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } }),
    );
    toRedis.heal();
    toPostgres.heal();
    await eventually(async () => expect((await machine.get(FLAGS)).status).toBe(200));
  });

  it.each([
    ["before a reader's look-up", ApiKeyCache, 'read'],
    ['before its lease', ApiKeyCache, 'lease'],
    ['between its lease and its read', BatchedReader, 'readMany'],
    ['between its read and its fill', ApiKeyCache, 'fill'],
  ])(
    'refuses a key that ended, with a flush of Redis, %s (S1)',
    async (_, on: new (...args: never[]) => object, method) => {
      beDeaf();
      await flushRedis(); // nothing is cached, so the reader takes all steps
      const end = async () => expect(await endKey(a)).toMatchObject(APPLIED);
      const ended = interruptAt(on, method, () => end().then(flushRedis));
      // Repeated if the cache was slower than its budget and the reader skipped this step.
      await eventually(async () => {
        await verdict(b);
        expect(ended()).toBe(true);
      });
      for (const app of [a, b, a, b]) expect(await verdict(app)).toBe('auth.invalid_key');
    },
  );

  it.each([
    ['before the end is written', RevocationWriter, 'endCredential', 'before'],
    ['between commit and tombstone', SessionCache, 'writeTombstones', 'before'],
    ['after the tombstone', SessionCache, 'writeTombstones', 'after'],
  ] as const)(
    'refuses an ended key although another request read it, and Redis was flushed, %s (S1)',
    async (_, on: new (...args: never[]) => object, method, when) => {
      beDeaf();
      const read = interruptAt(on, method, () => verdict(b).then(flushRedis), when);
      expect(await endKey(a)).toMatchObject(APPLIED);
      expect(read()).toBe(true);
      for (const app of [a, b, a, b]) expect(await verdict(app)).toBe('auth.invalid_key');
    },
  );
});
