import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { createClient, RESP_TYPES } from 'redis';
import { DataSource } from 'typeorm';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import type { RedisCache } from '../../src/platform/cache/redis-cache.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationWriter } from '../../src/sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { ADMIN, ALICE, BOB, PASSWORD, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer } from '../../test/support/client.js';
import { SteadyClock, TestClock } from '../../test/support/clock.js';
import { migrateDatabase } from '../../test/support/migrate.mjs';
import { expectBothTiers, loggedIn, sessionTier, type Person } from '../../test/support/test-users.js';
import { LIVE_ENTRY } from '../../test/support/redis.js';
import { startPostgres, startRedis } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: a PostgreSQL and a Redis of this file's own, which are killed, paused and restarted; instances of the
 * application over HTTP. Controlled: the clock of the breaker and of the feed.
 */

const postgres = await startPostgres();
const redis = await startRedis();
const describeWithOwnRedis = redis ? describe : describe.skip;

const ACCESS = '/v1/probe/flags';
const SESSION = '/v1/sessions/current';
const PROFILE = '/v1/users/me';
const ended = (reason: string) => ({ status: 401, body: { code: 'auth.session_ended', reason } });
const UNAVAILABLE = {
  status: 503,
  body: { code: 'auth.unavailable' },
  headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
};

const start = (env: Record<string, string | undefined> = {}, clock = new TestClock()) =>
  startApp({ env: { DATABASE_URL: postgres.url, REDIS_URL: redis?.url, ...env }, clock });

const readiness = async (app: TestApp) => (await app.client().get('/health/ready')).body;
const untilCache = (app: TestApp, state: 'ok' | 'failing') =>
  eventually(async () => expect(await readiness(app)).toMatchObject({ cache: state }));
const untilWhole = (app: TestApp) =>
  eventually(async () => expect(await readiness(app)).toMatchObject({ status: 'ok', cache: 'ok' }));
const feedOf = (app: TestApp) =>
  app.get(RevocationSubscriber) as unknown as {
    client: pg.Client | null;
    listen(): Promise<pg.Client>;
    stop(): void;
  };

beforeAll(async () => {
  await migrateDatabase(postgres.url);
});
afterAll(async () => {
  await Promise.all([postgres.stop(), redis?.stop()]);
});

describeWithOwnRedis('Redis', () => {
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    [a, b] = [await start(), await start()];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));
  beforeEach(async () => {
    await Promise.all([a, b].map(untilWhole));
    [admin, alice, bob] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE), await loggedIn(a, BOB)];
    for (const client of [alice, bob]) await warm(client);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await redis!.resume();
    if (!(await answers())) await redis!.restart();
  });

  const answers = async () => {
    const client = createClient({
      url: redis!.url,
      socket: { reconnectStrategy: false, connectTimeout: 1_000 },
    });
    client.on('error', () => undefined);
    return client.connect().then(
      () => (client.destroy(), true),
      () => false,
    );
  };
  const keysOf = async (id: string) => {
    const client = createClient({ url: redis!.url });
    await client.connect();
    const keys = await client.keys(`*${id}`);
    const values = await Promise.all(keys.map((key) => client.get(key)));
    client.destroy();
    return Object.fromEntries(keys.map((key, index) => [key, values[index]]));
  };
  /** Waits until the session is in Redis and has been read from there. */
  const warm = (client: Person) =>
    eventually(async () => {
      expect((await client.get(SESSION)).status).toBe(200);
      expect(Object.values(await keysOf(client.id)).some((value) => value && LIVE_ENTRY.test(value))).toBe(
        true,
      );
    });
  const revokeAlice = () => admin.delete(`/v1/admin/sessions/${alice.id}`);
  /** Uses the session tier of each instance, so that the access tier in front of it does not matter. */
  const expectAliceRefused = async () => {
    for (const app of [a, b]) {
      expect(await sessionTier(app, alice)).toBe('admin');
      expect(await alice.at(app).get(SESSION)).toMatchObject(ended('admin'));
    }
  };
  /** Waits until each instance has identified its server again and its breaker has closed. */
  const untilAsked = () =>
    Promise.all([a, b].map((app) => eventually(() => app.get(SessionCache).read([bob.id]))));
  const untilApplied = (seq: number) =>
    eventually(async () =>
      expect((await admin.at(b).get(`/v1/admin/revocations/${seq}`)).body).toMatchObject({
        seq,
        status: 'applied',
      }),
    );

  const expectPending = (receipt: Answer) => {
    expect(receipt).toMatchObject({ status: 202, body: { status: 'pending', endedSessions: 1 } });
    const { sessionTierBy, accessTierBy } = receipt.body;
    // The hard bounds: CACHE_LEASE for session checks, the longest token lifetime for the access tier.
    expect(Date.parse(accessTierBy) - Date.parse(sessionTierBy)).toBe(15 * 60_000 - 30_000);
    expect(Date.parse(sessionTierBy)).toBeGreaterThan(a.clock.now());
  };

  it('killed: PostgreSQL answers, a revocation is pending with its bounds, and applied once Redis is back [SES-06, SES-07]', async () => {
    await redis!.kill();
    await Promise.all([a, b].map((app) => untilCache(app, 'failing')));
    for (const app of [a, b]) {
      await eventually(async () =>
        expect(await readiness(app)).toMatchObject({ status: 'ok', cache: 'failing' }),
      );
      await expectBothTiers(alice.at(app), { status: 200 });
    }
    const receipt = await revokeAlice();
    expectPending(receipt);
    await expectAliceRefused();
    for (const app of [a, b]) {
      await expectBothTiers(bob.at(app), { status: 200 });
      expect((await bob.at(app).pay(`${app === a}-${receipt.body.seq}`)).status).toBe(201);
    }
    expect((await loggedIn(b, ALICE)).id).not.toBe(alice.id);

    await redis!.restart();
    await untilApplied(receipt.body.seq);
    await expectAliceRefused();
    await warm(bob);
  });

  it('killed between the check and the revocation: an earlier cached session is not used afterwards', async () => {
    await redis!.kill();
    await redis!.restart();
    await Promise.all([a, b].map(untilWhole));
    expect(await revokeAlice()).toMatchObject({ status: 200, body: { status: 'applied' } });
    await expectAliceRefused();
  });

  it('restored from a copy of before the revocation: its cached sessions are not used', async () => {
    const before = createClient({ url: redis!.url }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    await before.connect();
    const keys = (await before.keys(`*${alice.id}`)).map(String);
    const copies = await Promise.all(keys.map((key) => before.dump(key)));
    before.destroy();
    expect(keys).toHaveLength(1);

    await redis!.kill();
    await Promise.all([a, b].map((app) => untilCache(app, 'failing')));
    const { seq } = (await revokeAlice()).body;
    await redis!.restart();
    await untilApplied(seq);
    const after = createClient({ url: redis!.url });
    await after.connect();
    for (const [index, key] of keys.entries()) {
      await after.restore(key, 30_000, copies[index] as never, { REPLACE: true });
    }
    after.destroy();
    await untilAsked();
    await expectAliceRefused();
  });

  it('paused: checks and revocations get the right answer before an instance has noticed the outage [SES-07]', async () => {
    const { only } = (a.get(CachePort) as RedisCache).servers;
    await redis!.pause();
    for (const client of [alice, bob]) await expectBothTiers(client, { status: 200 });
    expect(only!.isMaster).toBe(true);
    const receipt = await revokeAlice();
    expectPending(receipt);
    expect(only!.isMaster).toBe(true);
    await expectBothTiers(alice, ended('admin'));
    await expectBothTiers(bob, { status: 200 });
    await redis!.resume();
    await untilApplied(receipt.body.seq);
    await expectAliceRefused();
  });

  it('paused: after three failures in a row it is queried once in half a second, until it answers', async () => {
    const clock = new SteadyClock();
    const c = await start({}, clock);
    try {
      bob.at(c);
      const asked = jest.spyOn(c.get(CachePort), 'readMany');
      await redis!.pause();
      for (let round = 0; round < 3; round++) expect((await bob.get(SESSION)).status).toBe(200);
      const failures = asked.mock.calls.length;
      for (let round = 0; round < 10; round++) expect((await bob.get(SESSION)).status).toBe(200);
      expect(asked.mock.calls.length).toBeLessThanOrEqual(Math.max(failures, 3));
      asked.mockClear();
      clock.advanceSteadily(500);
      for (let round = 0; round < 5; round++) expect((await bob.get(SESSION)).status).toBe(200);
      expect(asked).toHaveBeenCalledTimes(1);
      await redis!.resume();
      await untilCache(c, 'ok');
      clock.advanceSteadily(500);
      asked.mockClear();
      for (let round = 0; round < 5; round++) expect((await bob.get(SESSION)).status).toBe(200);
      expect(asked).toHaveBeenCalledTimes(5);
    } finally {
      await c.close();
    }
  });

  it('absent at boot: an instance starts without it, and uses it as soon as it is up', async () => {
    await redis!.kill();
    const c = await start();
    try {
      await eventually(async () =>
        expect(await readiness(c)).toMatchObject({ status: 'ok', cache: 'failing' }),
      );
      await expectBothTiers((await loggedIn(c, ALICE)).at(c), { status: 200 });
      await redis!.restart();
      await untilWhole(c);
      bob.at(c);
      await warm(bob);
    } finally {
      await c.close();
    }
  });

  it('changed roles are in force at once during an outage, and after it', async () => {
    await redis!.kill();
    await Promise.all([a, b].map((app) => untilCache(app, 'failing')));
    const setRoles = async (roles: string[]) =>
      expect((await admin.put(`/v1/admin/users/${ALICE.id}/roles`, { roles })).status).toBe(200);
    await setRoles(['user', 'admin']);
    expect((await alice.at(b).get('/v1/admin/users')).status).toBe(200);
    await setRoles(['user']);
    await redis!.restart();
    await untilWhole(b);
    expect((await alice.at(b).get('/v1/admin/users')).status).toBe(403);
  });

  it('a revocation whose process died right after its commit is finished by another instance', async () => {
    await warm(alice.at(b));
    const order = { reason: 'admin', actorId: null, context: null } as const;
    const { revocation } = await a
      .get(DataSource)
      .transaction((tx) =>
        a
          .get(RevocationWriter)
          .endSessions(Object.assign(tx, { pendingRevocations: [] }), ALICE.id, { only: [alice.id] }, order),
      );
    // Here the process dies: it publishes nothing, and only the other instance runs its dispatcher.
    a.get(Jobs).stop('revocation-dispatcher');
    await untilApplied(Number(revocation.seq));
    await expectAliceRefused();
    expect(Object.values(await keysOf(alice.id))).toEqual([expect.stringMatching(/^\[0,"admin"/)]);
    a.get(Jobs).start('revocation-dispatcher');
  });
});

describe('PostgreSQL', () => {
  let a: TestApp;
  let b: TestApp;

  const two = async () => {
    a = await start();
    b = redis ? await start() : a; // an in-process cache is for one instance
  };
  beforeAll(two);
  afterAll(() => Promise.all([...new Set([a, b])].map((app) => app.close())));
  afterEach(() => void jest.restoreAllMocks());

  const untilBack = async () => {
    await Promise.all(
      [a, b].map((app) =>
        eventually(async () =>
          expect(await readiness(app)).toMatchObject({ postgres: 'ok', revocationFeed: 'ok' }),
        ),
      ),
    );
  };

  const outages: [string, () => Promise<void>, () => Promise<void>][] = [
    ['killed', () => postgres.kill(), () => postgres.restart()],
    ['paused', () => postgres.pause(), () => postgres.resume()],
  ];

  it.each(outages)(
    '%s: no request is accepted without proof and no client is logged out; afterwards all works as before [SES-07]',
    async (_, strike, mend) => {
      const [admin, alice, bob] = [
        await loggedIn(a, ADMIN),
        await loggedIn(a, ALICE),
        await loggedIn(a, BOB, 'cookie'),
      ];
      const jar = new Map(bob.jar);
      await eventually(async () => expect((await bob.get(PROFILE)).status).toBe(200));
      await strike();
      try {
        // Alice's session is not cached, so only PostgreSQL could answer.
        const [session, payment, refresh, login, logout, cookieRefresh, cookieLogout, ready] =
          await Promise.all([
            alice.get(SESSION),
            alice.copy().pay('during-the-outage'),
            alice.copy().refresh(),
            a.client().login(BOB.email, PASSWORD),
            alice.copy().post('/v1/auth/logout'),
            bob.copy().refresh(),
            bob.copy().post('/v1/auth/logout'),
            a.client().get('/health/ready'),
          ]);
        for (const answer of [session, payment, refresh, login, logout, cookieRefresh, cookieLogout]) {
          expect(answer).toMatchObject({ ...UNAVAILABLE, setCookies: [] });
        }
        expect(ready).toMatchObject({ status: 503, body: { status: 'failing', postgres: 'failing' } });
        expect((await a.client().get('/health/live')).status).toBe(200);
        expect((await alice.get(ACCESS)).status).toBe(200);
        expect((await bob.get(ACCESS)).status).toBe(200);
        expect(bob.jar).toEqual(jar);
      } finally {
        await mend();
      }
      await untilBack();
      for (const client of [alice, bob]) {
        await expectBothTiers(client, { status: 200 });
        expect((await client.refresh()).status).toBe(200);
      }
      // The feed, too, passes revocations between the instances again.
      expect((await admin.delete(`/v1/admin/sessions/${alice.id}`)).body.endedSessions).toBe(1);
      alice.at(b);
      await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject(ended('admin')));
      expect(await alice.get(SESSION)).toMatchObject(ended('admin'));
    },
  );
});

describeWithOwnRedis('an instance that hears nothing of revocations (A2)', () => {
  let a: TestApp;
  let deaf: TestApp;
  let clock: SteadyClock;

  beforeAll(async () => {
    a = await start();
  });
  afterAll(() => a.close());
  afterEach(async () => {
    jest.restoreAllMocks();
    await deaf.close();
  });

  async function startDeaf(policy: string): Promise<void> {
    clock = new SteadyClock();
    deaf = await start({ ACCESS_WHEN_BLIND: policy }, clock);
    jest.spyOn(feedOf(deaf), 'listen').mockRejectedValue(new Error('cut'));
    await feedOf(deaf).client!.end();
    await eventually(() => expect(feedOf(deaf).client).toBeNull());
  }

  const expectReadiness = async (status: number) => {
    const answer = await deaf.client().get('/health/ready');
    expect(answer).toMatchObject({ status, body: { revocationFeed: status === 200 ? 'ok' : 'failing' } });
  };

  it.each([
    ['allow', { living: { status: 200 }, dead: { status: 200 } }],
    ['session', { living: { status: 200 }, dead: ended('admin') }],
    ['deny', { living: UNAVAILABLE, dead: UNAVAILABLE }],
  ])(
    '%s: it is blind after 5 s, reports so, and follows ACCESS_WHEN_BLIND [TOK-21]',
    async (policy, blind) => {
      await startDeaf(policy);
      const [living, dead] = [await loggedIn(a, ALICE), await loggedIn(a, BOB)];
      await a.get(RevocationService).endSession(dead.id, { reason: 'admin', actorId: null, context: null });
      for (const client of [living, dead]) client.at(deaf);

      clock.advanceSteadily(5_000);
      await eventually(() => expectReadiness(200));
      for (const client of [living, dead]) expect((await client.get(ACCESS)).status).toBe(200);
      clock.advanceSteadily(1);
      await expectReadiness(503);
      expect(await living.get(ACCESS)).toMatchObject(blind.living);
      expect(await dead.get(ACCESS)).toMatchObject(blind.dead);
      // Session routes query the session anyway.
      if (policy !== 'deny') {
        expect((await living.get(SESSION)).status).toBe(200);
        expect(await dead.get(SESSION)).toMatchObject(ended('admin'));
      }

      jest.restoreAllMocks();
      await eventually(() => expectReadiness(200));
      expect((await living.get(ACCESS)).status).toBe(200);
      expect(await dead.get(ACCESS)).toMatchObject(ended('admin'));
    },
  );

  it('allow is bounded by the token: no outage extends its lifetime (A4) [TOK-21]', async () => {
    await startDeaf('allow');
    const alice = (await loggedIn(a, ALICE)).at(deaf);
    clock.advanceSteadily(60_000);
    expect((await alice.get(ACCESS)).status).toBe(200);
    clock.advance(15 * 60_000);
    expect(await alice.get(ACCESS)).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
  });

  it('session: with PostgreSQL down as well, no unverified session is accepted', async () => {
    await startDeaf('session');
    const alice = (await loggedIn(a, ALICE)).at(deaf);
    clock.advanceSteadily(5_001);
    await postgres.kill();
    try {
      expect(await alice.get(ACCESS)).toMatchObject(UNAVAILABLE);
    } finally {
      await postgres.restart();
    }
    jest.restoreAllMocks();
    await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject({ status: 200 }));
  });

  it('X-Min-Revocation-Seq: a client with a receipt gets 503 and Retry-After', async () => {
    await startDeaf('allow');
    const alice = (await loggedIn(a, ALICE)).at(deaf);
    const bob = await loggedIn(a, BOB);
    // The receipt is of a revocation that the instance has not received: its list may have been complete before.
    const order = { reason: 'admin', actorId: null, context: null } as const;
    const { seq } = (await a.get(RevocationService).endSession(bob.id, order))!;
    const headers = { 'x-min-revocation-seq': String(seq) };
    expect(await alice.get(ACCESS, { headers })).toMatchObject(UNAVAILABLE);
    expect((await alice.get(ACCESS)).status).toBe(200);
  });
});
