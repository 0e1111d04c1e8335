import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { RevocationWriter } from '../../src/sessions/revocation/revocation-writer.js';
import { RevocationDispatcher } from '../../src/sessions/revocation/revocation-dispatcher.js';
import { SessionReader } from '../../src/sessions/check/session-reader.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { flushRedis, interruptAt } from '../../test/support/fault-hooks.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { loggedIn, sessionTier, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: two instances over HTTP, PostgreSQL, Redis. Between the second instance and its stores a network that
 * fails.
 */

const SESSION = '/v1/sessions/current';
const ACCESS = '/v1/auth/whoami';
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };
const PENDING = { status: 202, body: { status: 'pending' } };
const APPLIED = { status: 200, body: { status: 'applied' } };

describeWithRedis('an instance that is cut off', () => {
  let toRedis: FaultProxy;
  let toPostgres: FaultProxy;
  let clock: TestClock;
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;

  beforeAll(resetStores);
  beforeEach(async () => {
    clock = new TestClock();
    toRedis = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
    toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    a = await startApp({ clock });
    b = await startApp({ clock, env: { REDIS_URL: toRedis.url, DATABASE_URL: toPostgres.url } });
    [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
    for (const app of [a, b]) await warm(app);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all([a.close(), b.close()]);
    await Promise.all([toRedis.close(), toPostgres.close()]);
  });

  /** Waits until the session is cached and this instance reads it there. */
  const warm = (app: TestApp) =>
    eventually(async () => {
      const read = await app.get(SessionCache).read([alice.id]);
      if (read.get(alice.id)?.state !== 'live') {
        await alice.at(app).get(SESSION);
        throw new Error('not cached yet');
      }
    });
  const cutFromRedis = async () => {
    toRedis.cut();
    await eventually(() => expect(b.get(CachePort).ping()).rejects.toThrow(/unavailable/));
  };
  const endAlice = (at: TestApp) => admin.at(at).delete(`/v1/admin/sessions/${alice.id}`);
  const stopFeeds = () =>
    [a, b].forEach((app) =>
      jest.spyOn(app.get(RevocationSubscriber), 'catchUp').mockRejectedValue(new Error('deaf')),
    );

  it('from Redis, while another one revokes: the receipt is applied, and PostgreSQL refuses the session (S1)', async () => {
    stopFeeds();
    await cutFromRedis();
    expect(await endAlice(a)).toMatchObject(APPLIED);
    expect(await alice.at(b).get(SESSION)).toMatchObject(ENDED);
    toRedis.heal();
    await eventually(() => b.get(CachePort).ping());
    for (let round = 0; round < 3; round++) expect(await sessionTier(b, alice)).toBe('admin');
  });

  it('from Redis, and revokes itself: pending, bounded by CACHE_LEASE elsewhere, finished by the other dispatcher (S2) [SES-06]', async () => {
    stopFeeds();
    for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
    await cutFromRedis();
    const receipt = await endAlice(b);
    expect(receipt).toMatchObject(PENDING);
    expect(await sessionTier(a, alice)).toBe('live'); // the meaning of pending
    clock.advance(Date.parse(receipt.body.sessionTierBy) - clock.now());
    expect(await sessionTier(a, alice)).toBe('admin');
  });

  it('from Redis, and revokes itself: the dispatcher of another instance writes the tombstone long before the bound', async () => {
    stopFeeds();
    await cutFromRedis();
    const { body } = await endAlice(b);
    await eventually(async () =>
      expect(await admin.at(a).get(`/v1/admin/revocations/${body.seq}`)).toMatchObject(APPLIED),
    );
    expect(await sessionTier(a, alice)).toBe('admin');
  });

  describe('from Redis, and revokes itself, pending. A later end of more than that session is applied only with it (S1)', () => {
    const cause = { reason: 'admin', actorId: null, context: null } as const;
    const laterEnds: [string, () => Promise<{ status: string } | null>][] = [
      [
        'a ban',
        async () => (await admin.at(a).post(`/v1/admin/users/${alice.userId}/ban`, { reason: 'x' })).body,
      ],
      ['the end of all sessions of the user', () => a.get(RevocationService).endUser(alice.userId, cause)],
      [
        'the end of all but one',
        async () => (await (await loggedIn(a, ALICE)).delete('/v1/sessions?except=current')).body,
      ],
      [
        'the end of everyone',
        () => a.get(RevocationService).endEveryone({ ...cause, reason: 'admin_everyone' }),
      ],
    ];
    afterEach(async () => {
      await admin.at(a).delete(`/v1/admin/users/${alice.userId}/ban`);
    });

    it.each(laterEnds)('%s', async (_, endMore) => {
      stopFeeds();
      for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
      await cutFromRedis();
      expect(await endAlice(b)).toMatchObject(PENDING);
      expect(await sessionTier(a, alice)).toBe('live');
      expect(await endMore()).toMatchObject({ status: 'applied' });
      expect(await sessionTier(a, alice)).not.toBe('live');
    });

    it('the end of everyone, when the instance that ends has no Redis either: pending', async () => {
      stopFeeds();
      for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
      await cutFromRedis();
      await endAlice(b);
      jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValue(new Error('Redis is away'));
      const everyone = await a.get(RevocationService).endEveryone({ ...cause, reason: 'admin_everyone' });
      expect(everyone).toMatchObject({ status: 'pending' });
    });

    it('a change of roles leaves no cached entry of it', async () => {
      stopFeeds();
      for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
      await cutFromRedis();
      await endAlice(b);
      const roles = { roles: ['user'] };
      expect(await admin.at(a).put(`/v1/admin/users/${alice.userId}/roles`, roles)).toMatchObject({
        status: 200,
      });
      expect(await sessionTier(a, alice)).toBe('admin');
    });
  });

  it('from both stores: session routes answer 503, the access tier accepts tokens, no client is logged out (S3) [SES-07]', async () => {
    await cutFromRedis();
    toPostgres.cut();
    alice.at(b);
    await eventually(async () =>
      expect(await alice.get(SESSION)).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } }),
    );
    expect(await alice.refresh()).toMatchObject({ status: 503, setCookies: [] });
    expect(await alice.get(ACCESS)).toMatchObject({ status: 200 });
    expect(await alice.at(a).get(SESSION)).toMatchObject({ status: 200 });
    toRedis.heal();
    toPostgres.heal();
    alice.at(b);
    await eventually(async () => expect((await alice.get(SESSION)).status).toBe(200));
    expect((await alice.refresh()).status).toBe(200);
  });

  it('by a network that is slower than CACHE_BUDGET: PostgreSQL decides (S3)', async () => {
    stopFeeds();
    toRedis.delay(3_000); // tests wait for Redis for one second
    jest.spyOn(a.get(SessionCache), 'writeTombstones').mockResolvedValue(); // simulates a Redis that has lost the write
    await endAlice(a);
    expect(await sessionTier(b, alice)).toBe('admin');
    expect(await sessionTier(a, alice)).toBe('live'); // still cached, and still valid there
    toRedis.heal();
  });

  describe('a flush of Redis', () => {
    const at = (
      on: new (...args: never[]) => object,
      method: string,
      meanwhile: () => Promise<unknown>,
      when: 'before' | 'after' = 'before',
    ) => interruptAt(on, method, () => meanwhile().then(flushRedis), when);
    const check = () => alice.copy().at(b).get(SESSION);
    const end = async () => expect(await endAlice(a)).toMatchObject(APPLIED);

    it.each([
      ["before a reader's look-up", SessionCache, 'read'],
      ['before its lease', SessionCache, 'lease'],
      ['between its lease and its read', SessionReader, 'readMany'],
      ['between its read and its fill', SessionCache, 'fill'],
    ])('%s, when the session has ended meanwhile: no later check accepts it (S1)', async (_, on, method) => {
      stopFeeds();
      await flushRedis(); // nothing is cached, so the reader takes all steps
      const flushed = at(on, method, end);
      // Repeated if the cache was slower than its budget and the reader skipped this step.
      await eventually(async () => {
        await check();
        expect(flushed()).toBe(true);
      });
      for (const app of [a, b, a, b]) expect(await sessionTier(app, alice)).toBe('admin');
    });

    it.each([
      ['before the end is written', RevocationWriter, 'endSessions', 'before'],
      ['between commit and tombstone', SessionCache, 'writeTombstones', 'before'],
      ['after the tombstone', SessionCache, 'writeTombstones', 'after'],
    ] as const)(
      '%s, when another request reads meanwhile: no later check accepts it (S1)',
      async (_, on, method, when) => {
        stopFeeds();
        const flushed = at(on, method, check, when);
        await end();
        expect(flushed()).toBe(true);
        for (const app of [a, b, a, b]) expect(await sessionTier(app, alice)).toBe('admin');
      },
    );
  });
});
