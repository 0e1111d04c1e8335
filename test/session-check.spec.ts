import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { createClient } from 'redis';
import { AccessTokens } from '../src/auth/tokens/access-tokens.js';
import { CachePort, CacheUnavailable } from '../src/platform/cache/cache-port.js';
import { random } from '../src/platform/runtime/random.js';
import type { Principal } from '../src/platform/http/request.js';
import type { Settings } from '../src/platform/settings/settings.js';
import { CHECK_POOL } from '../src/platform/persistence/database.module.js';
import { LastSeenService } from '../src/sessions/check/last-seen.service.js';
import { SessionCheck } from '../src/sessions/check/session-check.js';
import { SessionReader } from '../src/sessions/check/session-reader.js';
import type { SessionSnapshot } from '../src/sessions/check/session-snapshot.js';
import { SNAPSHOT_SHAPE } from '../src/sessions/check/session-snapshot.repository.js';
import { SessionCache } from '../src/sessions/check/session-cache.js';
import { LIVE, packLive, unpack } from '../src/sessions/check/session-cache.codec.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { sessionTier } from './support/test-users.js';
import { describeWithRedis, LIVE_ENTRY } from './support/redis.js';
import { connect, disconnect, eventually, Gate } from './support/waiting.js';
import { PRODUCT } from '../src/product.js';

/**
 * Real: PostgreSQL, the cache of each form, the application over HTTP. Controlled: the clock, and the moment at
 * which a read of PostgreSQL comes back.
 */

const LEASE_MS = 2_000;
const CACHE_LEASE_MS = 30_000;
const CHECKED = '/v1/sessions/current';
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };

/** Functions that only tests use. */
interface Insight {
  flush(): Promise<unknown>;
  /** In milliseconds; Infinity for a key without one, 0 for none. */
  ttlOf(sessionId: string): Promise<number>;
}

/** A long timeout, because load is not under test here; see the outages. */
const PATIENT = { CACHE_BUDGET: '1s' };

/** The tag, the time until which the entry may be used, and the cells of the session. */
const CELLS = 2 + SNAPSHOT_SHAPE.length;

const keyOf = (sessionId: string) => `session:${sessionId}`;
const principalOf = (userId: string, sessionId: string): Principal => ({
  userId,
  sessionId,
  tokenId: random.uuid(),
  needsKey: false,
  provenKey: undefined,
  keyVersion: 0,
  roles: ['user'],
  claims: {},
  issuedAt: 0,
  expiresAt: Infinity,
});

/** Ends the session without a message to the cache or the access tier. */
const endUnheard = (app: TestApp, sessionId: string) =>
  app.query(`update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`, [
    sessionId,
  ]);

let redis: ReturnType<typeof createClient>;

const redisInsight = (): Insight => ({
  // Only our keys, because another application may use this Redis.
  flush: async () => redis.del(await redis.keys(`${PRODUCT.redisPrefix}*`)),
  async ttlOf(sessionId) {
    const [key] = await redis.keys(`*:${keyOf(sessionId)}`);
    const ttl = key === undefined ? -2 : await redis.pTTL(key);
    return ttl === -1 ? Infinity : Math.max(ttl, 0);
  },
});

const memoryInsight = (app: TestApp): Insight => {
  const { entries } = app.get(CachePort) as unknown as {
    entries: { clear(): void; getRemainingTTL(key: string): number };
  };
  return {
    flush: async () => entries.clear(),
    ttlOf: async (sessionId) => entries.getRemainingTTL(keyOf(sessionId)),
  };
};

beforeAll(async () => {
  if (!process.env['TEST_REDIS_URL']) return;
  redis = createClient({ url: process.env['TEST_REDIS_URL'] });
  await redis.connect();
});
afterAll(() => redis?.destroy());

describeWithRedis('the session check, with a cache in Redis', () => {
  theProtocol({}, redisInsight);

  describe('with foreign data in Redis', () => {
    let a: TestApp;
    let alice: Client;
    let key: string;

    beforeAll(async () => {
      await resetStores();
      a = await startApp({ env: PATIENT });
    });
    afterAll(() => a.close());
    beforeEach(async () => {
      alice = a.client();
      const login = await alice.login(ALICE.email, PASSWORD, { deviceName: 'Her own device' });
      const { id } = login.body.session;
      await alice.get(CHECKED);
      key = await eventually(async () => {
        const [found] = await redis.keys(`*:${keyOf(id)}`);
        expect(found).toBeDefined();
        return found!;
      });
    });

    const values = [
      '',
      'not json',
      '{"a":1}',
      'null',
      'true',
      '7',
      '"\\ud800"',
      '[]',
      '[0]',
      '[0,"admin"]',
      '[0,"admin","yesterday"]',
      '[0,"no such reason",1763683200000]',
      '[1]',
      '[1,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]',
      '[1,"9999999999999","AA","user","cookie",null,"","",1,2,3,"","AA","x",null,null,4]',
      `[${LIVE},9999999999999]`,
      '\u0000\u00ff',
    ];

    it.each(values)('treats %j as a miss', async (garbage) => {
      const bob = a.client();
      await bob.login(BOB.email, PASSWORD);
      await redis.set(key, garbage, { expiration: { type: 'PX', value: 60_000 } });
      const [ofAlice, ofBob] = await Promise.all([alice.get(CHECKED), bob.get(CHECKED)]);
      expect([ofAlice.status, ofBob.status]).toEqual([200, 200]);
      expect(ofAlice.body.device.name).toBe('Her own device');
    });

    it.each(Array.from({ length: CELLS }, (_, place) => place))(
      'treats an entry as a miss that is damaged at position %d [SES-08]',
      async (place) => {
        const { id } = (await alice.get(CHECKED)).body;
        const verdict = await eventually(async () => {
          const [json] = (await redis.get(key))!.split('\n');
          const value = JSON.parse(json!) as unknown[];
          expect(value).toHaveLength(CELLS);
          return value;
        });
        await endUnheard(a, id);
        await redis.set(key, JSON.stringify(verdict.with(place, {})), {
          expiration: { type: 'PX', value: 60_000 },
        });
        expect(await sessionTier(a, { id, userId: ALICE.id })).toBe('admin');
      },
    );

    it('keeps the breaker closed for invalid data: other sessions still come from the cache', async () => {
      const bob = a.client();
      await bob.login(BOB.email, PASSWORD);
      await bob.get(CHECKED);
      await redis.set(key, 'not json');
      for (let round = 0; round < 5; round++) await alice.get(CHECKED);
      const reads = jest.spyOn(a.get(SessionReader), 'readMany');
      expect((await bob.get(CHECKED)).status).toBe(200);
      expect(reads).not.toHaveBeenCalled();
      jest.restoreAllMocks();
    });

    it('refuses a forged entry that names another user [SES-08]', async () => {
      const bob = a.client();
      const { session } = (await bob.login(BOB.email, PASSWORD)).body;
      const [ofBob] = await a
        .get(SessionReader)
        .readMany([session.id])
        .then((rows) => [...rows.values()]);
      const forged = JSON.stringify(packLive(ofBob!, Date.now() + CACHE_LEASE_MS));
      await redis.set(key, forged, { expiration: { type: 'PX', value: 60_000 } });
      expect(await alice.get(CHECKED)).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
    });

    it.each<[string, () => Partial<SessionSnapshot>, () => Promise<Answer>, object]>([
      [
        'a role that the user does not have',
        () => ({ roles: ['user', 'admin'] }),
        () => alice.get('/v1/admin/users'),
        { status: 403, body: { code: 'auth.forbidden' } },
      ],
      [
        'a proof that was never given',
        () => ({ authenticatedAt: a.clock.now() }),
        () => alice.post('/v1/auth/email/change', { email: 'mallory@example.com' }),
        { status: 401, body: { code: 'auth.reauthentication_required' } },
      ],
      [
        'a session that has ended',
        () => ({}),
        async () => {
          await endUnheard(a, (await alice.get(CHECKED)).body.id);
          return alice.pay('forged');
        },
        ENDED,
      ],
    ])('ignores a forged entry with %s [SES-08, STP-01]', async (_what, lie, act, answer) => {
      a.clock.advance(3_600_000);
      const { id } = (await alice.refresh()).body.session;
      const truth = (await a.get(SessionReader).read(id))!;
      const forged = packLive({ ...truth, ...lie() }, a.clock.now() + CACHE_LEASE_MS);
      await redis.set(key, JSON.stringify(forged), { expiration: { type: 'PX', value: 60_000 } });
      expect((await alice.get(CHECKED)).status).toBe(200); // a route that requires no more accepts the entry
      expect(await act()).toMatchObject(answer);
    });

    it('does not extend an entry that Redis forgot to expire [SES-06]', async () => {
      const { id } = (await alice.get(CHECKED)).body;
      await endUnheard(a, id);
      await redis.persist(key);
      expect((await alice.get(CHECKED)).status).toBe(200); // within S2's bound
      a.clock.advance(CACHE_LEASE_MS);
      expect(await alice.get(CHECKED)).toMatchObject(ENDED);
    });

    it('keeps an entry under 250 bytes', async () => {
      const client = a.client();
      const headers = {
        'user-agent':
          'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0',
      };
      const login = await client.post(
        '/v1/auth/login',
        { email: ADMIN.email, password: PASSWORD },
        { headers },
      );
      await a.query(
        `update sessions set ip = $2, origin_country = 'AT', country = 'AT', latitude = 48.21, longitude = 16.37, located_at = created_at + interval '30 days',
           second_factor_at = created_at + interval '30 days'
         where id = $1`,
        [login.body.session.id, '2001:db8:1234:5678:9abc:def0:1234:5678'],
      );
      expect((await client.get(CHECKED, { headers })).body.device.name).toBe('Microsoft Edge on Windows');
      const [own] = await redis.keys(`*:${keyOf(login.body.session.id)}`);
      const verdict = await eventually(async () => {
        const value = (await redis.get(own!))!;
        expect(value).toMatch(LIVE_ENTRY);
        return value;
      });
      expect(Buffer.byteLength(verdict)).toBeLessThanOrEqual(250);
    });
  });
});

describe('the session check, with a cache in the memory of the one process', () => {
  theProtocol({ REDIS_URL: undefined }, memoryInsight);
});

function theProtocol(env: Record<string, string | undefined>, insightOf: (app: TestApp) => Insight): void {
  let a: TestApp;
  let port: CachePort;
  let check: SessionCheck;
  let reader: SessionReader;
  let verdicts: SessionCache;
  let insight: Insight;
  let admin: Client;
  let alice: Client;
  let id: string;

  beforeAll(async () => {
    await resetStores();
    a = await startApp({ env: { ...PATIENT, ...env } });
    [port, check, reader, verdicts] = [CachePort, SessionCheck, SessionReader, SessionCache].map((token) =>
      a.get(token as never),
    ) as [CachePort, SessionCheck, SessionReader, SessionCache];
    insight = insightOf(a);
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    [admin, alice] = [a.client(), a.client()];
    await admin.login(ADMIN.email, PASSWORD);
    id = (await alice.login(ALICE.email, PASSWORD)).body.session.id;
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await disconnect();
  });

  const stored = async (): Promise<string | null> => (await port.readMany([keyOf(id)]))[0]!;
  const stateOf = async () => {
    const value = await stored();
    return value && (unpack(id, value)?.state ?? 'garbage');
  };
  const tier = (consistency: 'cached' | 'strict' = 'cached') =>
    sessionTier(a, { id, userId: ALICE.id }, consistency);
  const revoke = async () => {
    const receipt = await admin.delete(`/v1/admin/sessions/${id}`);
    expect(receipt).toMatchObject({ status: 200, body: { status: 'applied' } });
  };
  /** Checks Alice's session until it is in the cache. */
  const warm = async () => {
    await eventually(async () => {
      expect((await alice.get(CHECKED)).status).toBe(200);
      expect(await stateOf()).toBe('live');
    });
  };

  /** The next check of Alice's session gets its answer from PostgreSQL, and pauses until it is released. */
  async function pausedReader(path = CHECKED) {
    const fills = jest.spyOn(verdicts, 'fill');
    const [arrived, released] = [new Gate(), new Gate()];
    const read = (ids: string[]) => SessionReader.prototype.readMany.call(reader, ids);
    let caught = false;
    jest.spyOn(reader, 'readMany').mockImplementation(async (ids) => {
      const rows = await read(ids);
      if (caught || !ids.includes(id)) return rows;
      caught = true;
      arrived.open();
      await released.opened;
      return rows;
    });
    const answer = alice.get(path);
    await arrived.opened;
    return {
      async release() {
        released.open();
        const { status } = await answer;
        await Promise.all(fills.mock.results.map(({ value }) => value));
        return status;
      },
    };
  }

  describe('a key changes from absent to lease to entry:', () => {
    it('a reader fills the entry under its own lease, and the next check queries the cache alone', async () => {
      expect(await stateOf()).toBeNull();
      const paused = await pausedReader();
      expect(await stateOf()).toBe('leased');
      expect(await paused.release()).toBe(200);
      expect(await stateOf()).toBe('live');
      const reads = jest.spyOn(reader, 'readMany').mockClear();
      expect((await alice.get(CHECKED)).status).toBe(200);
      expect(reads).not.toHaveBeenCalled();
    });

    it('a second reader answers from PostgreSQL and does not fill', async () => {
      const paused = await pausedReader();
      const lease = await stored();
      expect((await alice.copy().get(CHECKED)).status).toBe(200);
      expect(await stored()).toEqual(lease);
      expect(await paused.release()).toBe(200);
      expect(await stateOf()).toBe('live');
    });

    it('every key has a time to live: lease, entry and tombstone', async () => {
      const ttls: Record<string, number> = {};
      const paused = await pausedReader();
      ttls['lease'] = await insight.ttlOf(id);
      await paused.release();
      ttls['verdict'] = await insight.ttlOf(id);
      await revoke();
      ttls['tombstone'] = await insight.ttlOf(id);
      const most = { lease: LEASE_MS, verdict: CACHE_LEASE_MS, tombstone: CACHE_LEASE_MS + LEASE_MS };
      for (const [key, ttl] of Object.entries(ttls)) {
        expect(ttl).toBeGreaterThan(0);
        expect(ttl).toBeLessThanOrEqual(most[key as keyof typeof most]);
      }
      // A tombstone outlives every earlier entry and lease.
      expect(ttls['tombstone']).toBeGreaterThan(CACHE_LEASE_MS);
    });

    it('the keys of one tick are read in one round trip, each in a step of its own', async () => {
      const [free = '', held = '', other = ''] = Array.from({ length: 3 }, () => keyOf(random.uuid()));
      await port.setMany([[held, 'theirs']], LEASE_MS);
      const leases: [string, string][] = [free, held, other].map((key) => [key, `lease of ${key}`]);
      expect(await port.setIfAbsent(leases, LEASE_MS)).toEqual([true, false, true]);
      const swaps: [string, string, string][] = [
        [free, `lease of ${free}`, 'verdict of free'],
        [held, `lease of ${held}`, 'verdict of held'],
        [other, `lease of ${free}`, 'verdict of other'],
      ];
      expect(await port.compareAndSet(swaps, LEASE_MS)).toEqual([true, false, false]);
      expect(await port.readMany([free, held, other])).toEqual([
        '"verdict of free"',
        '"theirs"',
        `"lease of ${other}"`,
      ]);
    });

    it.each([0.4, 0.999, 1.5])('a time to live of %d ms does not round to infinity', async (ttl) => {
      const name = random.uuid();
      const set = [
        () => port.setMany([[keyOf(name), 'x']], ttl),
        () => port.setIfAbsent([[keyOf(name), 'x']], ttl),
        async () => {
          await port.setMany([[keyOf(name), 'x']], 60_000);
          await port.compareAndSet([[keyOf(name), 'x', 'y']], ttl);
        },
      ];
      for (const act of set) {
        await act();
        expect(await insight.ttlOf(name)).toBeLessThanOrEqual(2);
        await port.deleteMany([keyOf(name)]);
      }
    });

    it('an entry is valid until CACHE_LEASE after the read that made it, however late it was filled', async () => {
      const readAt = a.clock.now();
      const paused = await pausedReader();
      a.clock.advance(1_000);
      await paused.release();
      const filledAt = a.clock.now();
      const [, believeUntil] = JSON.parse((await stored())!) as [number, number];
      expect(believeUntil).toBeLessThan(filledAt + CACHE_LEASE_MS - 900);
      expect(believeUntil).toBeGreaterThanOrEqual(readAt + CACHE_LEASE_MS);
      // Commands reach Redis a moment later; the entry itself contains its end.
      expect(await insight.ttlOf(id)).toBeLessThanOrEqual(believeUntil - filledAt + 500);

      const reads = jest.spyOn(reader, 'readMany').mockClear();
      a.clock.advance(believeUntil - a.clock.now() - 1_000);
      await alice.get(CHECKED);
      expect(reads).not.toHaveBeenCalled();
      a.clock.advance(believeUntil - a.clock.now());
      await alice.get(CHECKED);
      expect(reads).toHaveBeenCalledTimes(1);
    });

    it('a reader that was slower than CACHE_LEASE fills no entry', async () => {
      const settings = { cacheLease: 1_000, cacheBudget: 1_000 } as Settings;
      const short = new SessionCache(port, a.clock, settings);
      const snapshots = await reader.readMany([id]);
      const leases = await short.lease([id]);
      await short.fill(leases, snapshots, a.clock.now() - 1_000);
      expect(await stateOf()).toBe('leased');
      await short.fill(leases, snapshots, a.clock.now() - 500);
      expect(await stateOf()).toBe('live');
    });
  });

  describe('a reader that paused between its read and its fill [SES-05]', () => {
    const events: [string, (() => Promise<unknown>)[]][] = [
      ['the tombstone stands', [revoke]],
      ['the tombstone was evicted', [revoke, () => port.deleteMany([keyOf(id)])]],
      ['the cache was flushed', [revoke, () => insight.flush()]],
      ['its lease ran out before the revocation', [() => port.deleteMany([keyOf(id)]), revoke]],
      [
        'another reader has the lease by now',
        [
          revoke,
          () => port.deleteMany([keyOf(id)]),
          () => port.setIfAbsent([[keyOf(id), random.uuid()]], LEASE_MS),
        ],
      ],
      [
        'other readers have seen the end meanwhile',
        [revoke, () => insight.flush(), () => tier(), () => tier()],
      ],
    ];

    it.each(events)('cannot resurrect an ended session: %s', async (_, steps) => {
      const paused = await pausedReader();
      for (const step of steps) await step();
      expect(await paused.release()).toBe(200); // its check began before the end
      expect(await stateOf()).not.toBe('live');
      for (let round = 0; round < 2; round++) expect(await tier()).toBe('admin');
      expect(await stateOf()).not.toBe('live');
    });

    it.each(['before its lease', 'before its look'])(
      'cannot resurrect an ended session after a pause %s either',
      async (where) => {
        const [arrived, released] = [new Gate(), new Gate()];
        const paused = where === 'before its lease' ? 'lease' : 'read';
        const original = SessionCache.prototype[paused] as (ids: string[]) => Promise<unknown>;
        let seen: unknown;
        jest.spyOn(verdicts, paused).mockImplementationOnce((async (ids: string[]) => {
          arrived.open();
          await released.opened;
          return (seen = await original.call(verdicts, ids));
        }) as never);
        const answer = alice.get(CHECKED);
        await arrived.opened;
        await revoke();
        released.open();
        expect(await answer).toMatchObject(ENDED);
        expect(await stateOf()).toBe('ended');
        if (where === 'before its lease') expect(seen).toEqual([]); // the key was not empty
      },
    );

    it('cannot restore old roles, because the change voids its lease', async () => {
      const setRoles = async (roles: string[]) =>
        expect((await admin.put(`/v1/admin/users/${ALICE.id}/roles`, { roles })).status).toBe(200);
      const asPlainUser = await pausedReader('/v1/admin/users');
      await setRoles(['user', 'admin']);
      expect(await asPlainUser.release()).toBe(200); // PostgreSQL confirms a role as well as its absence
      expect(await stateOf()).toBeNull();
      const asAdmin = await pausedReader('/v1/admin/users');
      await setRoles(['user']);
      expect(await asAdmin.release()).toBe(403);
      expect(await stateOf()).toBeNull();
      expect((await alice.get('/v1/admin/users')).status).toBe(403);
    });
  });

  describe('a revocation', () => {
    it('replaces a cached session', async () => {
      await warm();
      await revoke();
      expect(await stateOf()).toBe('ended');
      const reads = jest.spyOn(reader, 'readMany');
      expect(
        await check.require(principalOf(ALICE.id, id), { consistency: 'cached' }).catch((e) => e),
      ).toMatchObject({
        code: 'auth.session_ended',
        options: { members: { reason: 'admin' } },
      });
      expect(reads).not.toHaveBeenCalled();
    });

    it.each(['evicted', 'flushed'])('is still refused when its tombstone was %s [SES-06]', async (how) => {
      await warm();
      await revoke();
      await (how === 'evicted' ? port.deleteMany([keyOf(id)]) : insight.flush());
      expect(
        await check.require(principalOf(ALICE.id, id), { consistency: 'cached' }).catch((e) => e),
      ).toMatchObject({
        code: 'auth.session_ended',
      });
    });

    const doors: [string, () => Promise<{ status: number }>][] = [
      ['one session', () => admin.delete(`/v1/admin/sessions/${id}`)],
      ['a user', () => admin.delete(`/v1/admin/users/${ALICE.id}/sessions`)],
      ['others of one own', () => alice.copy().delete('/v1/sessions?except=current')],
      ['a logout', () => alice.copy().post('/v1/auth/logout')],
      ['a ban', () => admin.post(`/v1/admin/users/${ALICE.id}/ban`, { reason: 'x' })],
      ['everyone', () => admin.request('DELETE', '/v1/admin/sessions', { body: { confirm: 'everyone' } })],
    ];

    it.each(doors)('writes to the cache after its commit, never before: %s [SES-05]', async (_, end) => {
      await alice.copy().login(ALICE.email, PASSWORD, { transport: 'bearer' }); // one of the other sessions
      const outside = await connect();
      const seen: string[] = [];
      const bury = SessionCache.prototype.writeTombstones;
      jest.spyOn(verdicts, 'writeTombstones').mockImplementation(async (ids, ended) => {
        // A reader at this moment would fill the cache with the old state.
        const { rows } = await outside.query<{ id: string }>(
          `select s.id from sessions s cross join session_epoch e
           where s.id = any($1) and s.status = 'active' and s.created_at > e.not_before`,
          [ids],
        );
        seen.push(...ids.map((buried) => (rows.some((row) => row.id === buried) ? 'live' : 'ended')));
        await bury.call(verdicts, ids, ended);
      });
      expect([200, 204]).toContain((await end()).status);
      expect(seen).toContain('ended');
      expect(seen).not.toContain('live');
      await a.query('update users set banned_at = null');
    });

    it('that the cache has lost is in force CACHE_LEASE after its commit at the latest (S2) [SES-06]', async () => {
      await warm();
      await revoke();
      const snapshot = { ...(await reader.read(id))!, ended: null };
      const lost = packLive(snapshot, a.clock.now() + CACHE_LEASE_MS);
      await port.setMany([[keyOf(id), lost]], CACHE_LEASE_MS * 10);
      const principal = principalOf(ALICE.id, id);
      await check.require(principal, { consistency: 'cached' });
      await expect(check.require(principal, { consistency: 'strict' })).rejects.toMatchObject({
        code: 'auth.session_ended',
      });
      a.clock.advance(CACHE_LEASE_MS);
      await expect(check.require(principal, { consistency: 'cached' })).rejects.toMatchObject({
        code: 'auth.session_ended',
      });
    });
  });

  describe('a cached session can only be accepted, never refused:', () => {
    it('a session in steady use is never idle because of its cached last use', async () => {
      const principal = principalOf(ALICE.id, id);
      await warm();
      const snapshot = (await reader.read(id))!;
      const longUnseen = { ...snapshot, lastSeenAt: a.clock.now() - 31 * 86_400_000 };
      await port.setMany([[keyOf(id), packLive(longUnseen, a.clock.now() + 10_000)]], 10_000);
      expect(await check.require(principal, { consistency: 'cached' })).toMatchObject({
        lastSeenAt: snapshot.lastSeenAt,
      });
      expect((await alice.get(CHECKED)).status).toBe(200);
    });

    it('a session is never stale because of its cached state, if the user has reauthenticated since', async () => {
      const principal = principalOf(ALICE.id, id);
      await warm();
      a.clock.advance(11_000);
      const fresh = { consistency: 'cached', maxAuthAge: 10_000 } as const;
      await expect(check.require(principal, fresh)).rejects.toMatchObject({
        code: 'auth.reauthentication_required',
      });
      await a.query('update sessions set authenticated_at = $2 where id = $1', [id, new Date(a.clock.now())]);
      await expect(check.require(principal, fresh)).resolves.toMatchObject({ id });
    });

    it.each(['readMany', 'setIfAbsent', 'compareAndSet'] as const)(
      'a cache that fails at %s changes no answer [SES-07]',
      async (method) => {
        jest.spyOn(port, method).mockRejectedValue(new CacheUnavailable());
        expect(await tier()).toBe('live');
        await endUnheard(a, id);
        await port.deleteMany([keyOf(id)]);
        expect(await tier()).toBe('admin');
      },
    );

    it('strict consistency never reads the cache, and never fills it', async () => {
      const asked = [jest.spyOn(port, 'readMany'), jest.spyOn(port, 'setIfAbsent')];
      await check.require(principalOf(ALICE.id, id), { consistency: 'strict' });
      for (const spy of asked) expect(spy).not.toHaveBeenCalled();
      expect(await stateOf()).toBeNull();
    });
  });

  it('the query is planned by PostgreSQL once for each connection, and not for each session', async () => {
    const strict = { consistency: 'strict' } as const;
    for (let count = 0; count < 10; count += 1) await check.require(principalOf(ALICE.id, id), strict);
    const { rows } = await a
      .get<pg.Pool>(CHECK_POOL)
      .query<{ ofOne: string; ofAny: number }>(
        `select custom_plans as "ofOne", generic_plans::int as "ofAny" from pg_prepared_statements where name = 'read sessions'`,
      );
    expect(rows).toEqual([{ ofOne: '0', ofAny: expect.any(Number) }]);
    expect(rows[0]!.ofAny).toBeGreaterThan(0);
  });

  describe('concurrent checks of one tick', () => {
    it('are one read of the cache and, for the misses, one statement', async () => {
      const logins = await Promise.all(
        Array.from({ length: 10 }, () => a.client().login(BOB.email, PASSWORD)),
      );
      const sessions = logins.map(({ body }) => body.session.id as string);
      const pool = a.get(CHECK_POOL);
      const [reads, statements, fills] = [
        jest.spyOn(port, 'readMany'),
        jest.spyOn(pool, 'query'),
        jest.spyOn(verdicts, 'fill'),
      ];
      const checkAll = () =>
        Promise.all(
          [...sessions, ...sessions, ...sessions].map((session) =>
            check.require(principalOf(BOB.id, session), { consistency: 'cached' }),
          ),
        );
      await checkAll();
      expect(reads.mock.calls.map(([keys]) => keys.length)).toEqual([10]);
      expect(statements).toHaveBeenCalledTimes(1);
      await Promise.all(fills.mock.results.map(({ value }) => value));
      await checkAll();
      expect(reads).toHaveBeenCalledTimes(2);
      expect(statements).toHaveBeenCalledTimes(1);
    });

    it('get each its own answer', async () => {
      const bob = (await a.client().login(BOB.email, PASSWORD)).body.session.id;
      await revoke();
      const unknown = random.uuidAt(a.clock.now());
      const asked = [
        [BOB.id, bob],
        [ALICE.id, id],
        [ALICE.id, unknown],
        [ALICE.id, bob],
      ].map(([user, session]) =>
        check.require(principalOf(user!, session!), { consistency: 'cached' }).then(
          (snapshot) => snapshot.userId,
          (problem) => problem.code,
        ),
      );
      expect(await Promise.all(asked)).toEqual([
        BOB.id,
        'auth.session_ended',
        'auth.invalid_token',
        'auth.invalid_token',
      ]);
    });

    it('fail independently: cached sessions are accepted while PostgreSQL is down', async () => {
      await warm();
      jest.spyOn(a.get(CHECK_POOL), 'query').mockRejectedValue(new Error('away') as never);
      const unknown = random.uuidAt(a.clock.now());
      const [known, other] = await Promise.allSettled([
        check.require(principalOf(ALICE.id, id), { consistency: 'cached' }),
        check.require(principalOf(ALICE.id, unknown), { consistency: 'cached' }),
      ]);
      expect(known.status).toBe('fulfilled');
      expect(other).toMatchObject({ status: 'rejected', reason: { code: 'auth.unavailable' } });
    });
  });

  describe('a token with a good signature', () => {
    const tokenFor = async (changes: Partial<SessionSnapshot>) => {
      const snapshot = (await reader.read(id))!;
      const native = a.client();
      native.accessToken = a.get(AccessTokens).mint({ ...snapshot, ...changes }, a.clock.now()).token;
      return native;
    };

    it('for a session that never existed is not valid [SES-03]', async () => {
      const native = await tokenFor({ id: random.uuidAt(a.clock.now()) });
      for (let round = 0; round < 2; round++) {
        expect(await native.get(CHECKED)).toMatchObject({
          status: 401,
          body: { code: 'auth.invalid_token' },
        });
      }
    });

    it("for another user's session is not valid, whether or not that session is cached [SES-03]", async () => {
      const native = await tokenFor({ userId: BOB.id });
      for (const prepare of [async () => undefined, warm]) {
        await prepare();
        expect(await native.get(CHECKED)).toMatchObject({
          status: 401,
          body: { code: 'auth.invalid_token' },
        });
      }
    });
  });
}

describe('a session in steady use', () => {
  it('stays alive through many idle timeouts, on refreshes and requests alone', async () => {
    await resetStores();
    const env = { SESSION_IDLE_TIMEOUT: '20s', REDIS_URL: undefined };
    const a = await startApp({ env });
    try {
      const alice = a.client();
      await alice.login(ALICE.email, PASSWORD);
      for (let round = 0; round < 12; round++) {
        a.clock.advance(7_000);
        if (round % 2 === 1) expect((await alice.refresh()).status).toBe(200);
        expect((await alice.get(CHECKED)).status).toBe(200);
        await a.get(LastSeenService).flush();
      }
      a.clock.advance(20_000);
      expect(await alice.refresh()).toMatchObject({
        status: 401,
        body: { code: 'auth.session_ended', reason: 'idle' },
      });
    } finally {
      await a.close();
    }
  });
});
