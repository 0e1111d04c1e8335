import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CHECK_POOL } from '../../src/platform/persistence/database.module.js';
import { LastSeenService } from '../../src/sessions/check/last-seen.service.js';
import { RevocationDispatcher } from '../../src/sessions/revocation/revocation-dispatcher.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { loggedIn, sessionTier, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually } from '../../test/support/waiting.js';

/** Real: PostgreSQL, Redis, one or two instances of the application over HTTP. Controlled: the clock. */

const DAY = 86_400_000;
const HOUR = 3_600_000;
const LIMIT = 3;
const ACCESS = '/v1/probe/flags';
const SESSION = '/v1/sessions/current';
const ended = (reason: string) => ({ status: 401, body: { code: 'auth.session_ended', reason } });

/**
 * Records each commit that leaves a user with more live sessions than the limit, as the last step before the
 * commit.
 */
const WATCH_COMMITS = `
  create table over_limit (live int);
  create function note_over_limit() returns trigger language plpgsql as $$
  declare live int;
  begin
    select count(*) into live from sessions where user_id = new.user_id and status = 'active';
    if live > ${LIMIT} then insert into over_limit values (live); end if;
    return null;
  end $$;
  create constraint trigger watch_commits after insert on sessions
    deferrable initially deferred for each row execute function note_over_limit()`;
const STOP_WATCHING = 'drop function note_over_limit cascade; drop table over_limit';

const activeOf = async (app: TestApp, userId: string) =>
  (
    await app.query<{ id: string }>(
      `select id from sessions where user_id = $1 and status = 'active' order by created_at desc, id desc`,
      [userId],
    )
  ).map(({ id }) => id);

describeWithRedis('fifty logins at once, on two instances (L1)', () => {
  let a: TestApp;
  let b: TestApp;

  async function rush(policy: string) {
    await resetStores();
    const env = { SESSION_LIMIT: String(LIMIT), SESSION_LIMIT_POLICY: policy };
    [a, b] = [await startApp({ env }), await startApp({ env })];
    await a.query(WATCH_COMMITS);
    const clients = Array.from({ length: 50 }, (_, index) => [a, b][index % 2]!.client());
    const answers = await Promise.all(
      clients.map((client) => client.login(ALICE.email, PASSWORD, { transport: 'bearer' })),
    );
    return answers.map((answer, index) => ({ answer, client: clients[index]! }));
  }

  afterEach(async () => {
    expect(await a.query('select * from over_limit')).toEqual([]);
    await a.query(STOP_WATCHING);
    await Promise.all([a.close(), b.close()]);
  });

  it.each(['evict_oldest', 'evict_idle'])(
    '%s: never more live sessions than the limit [SES-13]',
    async (policy) => {
      const logins = await rush(policy);
      expect(new Set(logins.map(({ answer }) => answer.status))).toEqual(new Set([200]));
      const live = await activeOf(a, ALICE.id);
      expect(live).toHaveLength(LIMIT);
      const [count] = await a.query(
        `select count(*)::int as count from sessions where user_id = $1 and end_reason = 'session_limit'`,
        [ALICE.id],
      );
      expect(count).toEqual({ count: 50 - LIMIT });
      for (const { answer, client } of logins) {
        const outcome = live.includes(answer.body.session.id) ? { status: 200 } : ended('session_limit');
        const evicted = { id: answer.body.session.id, userId: ALICE.id };
        for (const instance of [a, b]) {
          expect(await sessionTier(instance, evicted)).toBe(
            live.includes(evicted.id) ? 'live' : 'session_limit',
          );
        }
        // Evictions reach the access tier of both instances.
        for (const instance of [a, b]) {
          await eventually(async () => expect(await client.at(instance).get(ACCESS)).toMatchObject(outcome));
        }
      }
    },
  );

  it('deny: as many as the limit succeed, and all others get a conflict [SES-13]', async () => {
    const logins = await rush('deny');
    const refused = logins.filter(({ answer }) => answer.status !== 200);
    expect(refused).toHaveLength(50 - LIMIT);
    for (const { answer } of refused) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'resource.conflict' } });
    }
    expect(await activeOf(a, ALICE.id)).toHaveLength(LIMIT);
    const again = await loggedIn(a, BOB);
    expect((await again.get(SESSION)).status).toBe(200);
  });
});

describe('at the limit', () => {
  let a: TestApp;

  const start = async (policy: string, env: Record<string, string> = {}) => {
    await resetStores();
    a = await startApp({ env: { SESSION_LIMIT: String(LIMIT), SESSION_LIMIT_POLICY: policy, ...env } });
  };
  afterEach(() => a.close());

  const fill = async () => {
    const clients: Person[] = [];
    for (let count = 0; count < LIMIT; count++) {
      clients.push(await loggedIn(a, ALICE));
      a.clock.advance(60_000);
    }
    return clients as [Person, Person, Person];
  };

  it('evict_oldest ends the session that began first, however much it is used', async () => {
    await start('evict_oldest');
    const [first, second, third] = await fill();
    await first.get(SESSION);
    await a.get(LastSeenService).flush();
    const fourth = await loggedIn(a, ALICE);
    expect(await activeOf(a, ALICE.id)).toEqual([fourth.id, third.id, second.id]);
    expect(await first.get(SESSION)).toMatchObject(ended('session_limit'));
    expect(await first.get(ACCESS)).toMatchObject(ended('session_limit'));
    expect(await first.refresh()).toMatchObject(ended('session_limit'));
  });

  it('evict_idle ends the session that was unused for longest', async () => {
    await start('evict_idle');
    const [first, second, third] = await fill();
    for (const client of [third, first]) {
      a.clock.advance(60_000);
      await client.get(ACCESS);
      await a.get(LastSeenService).flush();
    }
    const fourth = await loggedIn(a, ALICE);
    expect(await activeOf(a, ALICE.id)).toEqual([fourth.id, third.id, first.id]);
    expect(await second.get(SESSION)).toMatchObject(ended('session_limit'));
  });

  it('deny refuses until a session has ended, for any reason', async () => {
    await start('deny', { SESSION_IDLE_TIMEOUT: '1h' });
    const [first] = await fill();
    const login = () => a.client().login(ALICE.email, PASSWORD);
    expect((await login()).status).toBe(409);
    expect((await loggedIn(a, BOB)).id).toBeDefined();
    await first.post('/v1/auth/logout');
    expect((await login()).status).toBe(200);
    expect((await login()).status).toBe(409);
    a.clock.advance(HOUR);
    expect((await login()).status).toBe(200);
  });

  it('sessions that a global logout has ended do not count, even before the sweep has reached them', async () => {
    await start('deny');
    const ids = (await fill()).map(({ id }) => id);
    const admin = await loggedIn(a, ADMIN);
    jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValue(new Error('not yet'));
    jest.spyOn(a.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
    await admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } });
    expect((await activeOf(a, ALICE.id)).toSorted()).toEqual(ids.toSorted());
    for (let count = 0; count < LIMIT; count++) await loggedIn(a, ALICE);
    expect((await a.client().login(ALICE.email, PASSWORD)).status).toBe(409);
  });

  it.each([
    ['unused for an hour', HOUR, 'idle'],
    ['begun half a day ago', 12 * HOUR, 'expired'],
  ])('a session that was too old for an admin, %s, stays ended without the role', async (_, age, reason) => {
    await start('evict_oldest', { ADMIN_SESSION_IDLE_TIMEOUT: reason === 'idle' ? '1h' : '12h' });
    const old = await fill();
    a.clock.advance(age);
    const young = await loggedIn(a, BOB);
    const admin = await loggedIn(a, ADMIN);
    const setRoles = async (roles: string[], id = ALICE.id) =>
      expect((await admin.put(`/v1/admin/users/${id}/roles`, { roles })).status).toBe(200);
    await setRoles(['user', 'admin']);
    const live: string[] = [];
    for (let count = 0; count < LIMIT; count++) live.unshift((await loggedIn(a, ALICE)).id);
    await setRoles(['user']);
    expect(await activeOf(a, ALICE.id)).toEqual(live);
    for (const client of old) expect(await client.refresh()).toMatchObject(ended(reason));
    await setRoles(['user', 'admin'], BOB.id);
    await setRoles(['user'], BOB.id);
    expect((await young.refresh()).status).toBe(200);
  });

  it('a login in the same browser replaces its own session, and evicts no other', async () => {
    await start('evict_oldest');
    await loggedIn(a, ALICE);
    await loggedIn(a, ALICE);
    const browser = a.client();
    const before = (await browser.login(ALICE.email, PASSWORD)).body.session.id;
    const after = (await browser.login(ALICE.email, PASSWORD)).body.session.id;
    const live = await activeOf(a, ALICE.id);
    expect(live).toHaveLength(LIMIT);
    expect(live).toContain(after);
    expect(live).not.toContain(before);
    expect(await a.query('select end_reason from sessions where id = $1', [before])).toEqual([
      { end_reason: 'logout' },
    ]);
  });
});

describe('lifetimes', () => {
  let a: TestApp;

  beforeEach(async () => {
    await resetStores();
    a = await startApp();
  });
  afterEach(() => a.close());

  it('a session ends when it was unused for SESSION_IDLE_TIMEOUT, and not earlier [REF-08, SES-03, SES-14]', async () => {
    const [alice, other] = [await loggedIn(a, ALICE), await loggedIn(a, ALICE)];
    const { idleExpiresAt } = (await alice.get(SESSION)).body;
    a.clock.advance(Date.parse(idleExpiresAt) - a.clock.now() - 5_000);
    expect((await alice.refresh()).status).toBe(200);
    a.clock.advance(5_000 + 1_000);
    expect(await other.refresh()).toMatchObject(ended('idle'));
    expect((await alice.get(SESSION)).status).toBe(200);
    const { items } = (await alice.get('/v1/sessions')).body;
    expect(items.map(({ id }: { id: string }) => id)).toEqual([alice.id]);
  });

  it('a session ends SESSION_LIFETIME after its login, however much it is used [REF-07, SES-03, SES-14]', async () => {
    const alice = await loggedIn(a, ALICE);
    const { expiresAt, createdAt } = (await alice.get(SESSION)).body;
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(90 * DAY);
    for (let month = 0; month < 3; month++) {
      expect((await alice.refresh()).status).toBe(200);
      expect((await alice.get(SESSION)).body.expiresAt).toBe(expiresAt);
      a.clock.advance(30 * DAY - HOUR);
    }
    expect((await alice.refresh()).status).toBe(200);
    a.clock.advance(Date.parse(expiresAt) - a.clock.now());
    expect(await alice.refresh()).toMatchObject({ ...ended('expired'), body: { endedAt: expiresAt } });
  });

  it('changed settings apply to existing sessions, at the next check and the next refresh', async () => {
    const [alice, idle] = [await loggedIn(a, ALICE), await loggedIn(a, ALICE)];
    const { createdAt } = (await alice.get(SESSION)).body;
    const instance = (env: Record<string, string>) =>
      startApp({ clock: a.clock, env: { ...env, SEED_USERS: 'false' } });
    const longer = await instance({ SESSION_LIFETIME: '400d' });
    const shorter = await instance({ SESSION_LIFETIME: '2h', SESSION_IDLE_TIMEOUT: '1h' });
    const lifetime = async (at: TestApp) =>
      Date.parse((await alice.at(at).get(SESSION)).body.expiresAt) - Date.parse(createdAt);
    expect(await lifetime(longer)).toBe(400 * DAY);
    expect(await lifetime(shorter)).toBe(2 * HOUR);
    a.clock.advance(HOUR);
    expect(await idle.at(shorter).refresh()).toMatchObject(ended('idle'));
    expect((await idle.at(longer).refresh()).status).toBe(200);
    expect((await alice.at(longer).refresh()).status).toBe(200);
    expect(await lifetime(shorter)).toBe(2 * HOUR);
    a.clock.advance(HOUR);
    expect(await alice.at(shorter).refresh()).toMatchObject(ended('expired'));
    expect((await alice.at(a).refresh()).status).toBe(200);
    await Promise.all([longer.close(), shorter.close()]);
  });

  it('an access token never outlives its session', async () => {
    const alice = await loggedIn(a, ALICE);
    const { expiresAt } = (await alice.get(SESSION)).body;
    for (let month = 0; month < 3; month++) {
      a.clock.advance(29 * DAY);
      await alice.refresh();
    }
    a.clock.advance(Date.parse(expiresAt) - a.clock.now() - 100_000);
    const { body } = await alice.refresh();
    expect(body.expiresIn).toBeLessThanOrEqual(100);
    const who = (await alice.get('/v1/auth/whoami')).body;
    expect(Date.parse(who.expiresAt)).toBeLessThanOrEqual(Date.parse(expiresAt));
    a.clock.advance(100_000);
    for (const path of [ACCESS, SESSION]) {
      expect(await alice.get(path)).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
    }
  });

  it("admins' sessions are shorter: an hour idle, half a day in all [REF-08]", async () => {
    const [admin, idle] = [await loggedIn(a, ADMIN), await loggedIn(a, ADMIN)];
    const session = (await admin.get(SESSION)).body;
    expect(Date.parse(session.expiresAt) - Date.parse(session.createdAt)).toBe(12 * HOUR);
    expect(Date.parse(session.idleExpiresAt) - Date.parse(session.lastSeenAt)).toBe(HOUR);
    for (let round = 0; round < 13; round++) {
      a.clock.advance(55 * 60_000);
      expect((await admin.refresh()).status).toBe(200);
      if (round === 1) expect(await idle.refresh()).toMatchObject(ended('idle'));
    }
    a.clock.advance(5 * 60_000);
    expect(await admin.refresh()).toMatchObject(ended('expired'));
  });

  it('a new admin has the lifetimes of admins at once, and loses them with the role', async () => {
    const [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
    const lifetime = async () => {
      const { createdAt, expiresAt } = (await alice.get(SESSION)).body;
      return Date.parse(expiresAt) - Date.parse(createdAt);
    };
    expect(await lifetime()).toBe(90 * DAY);
    await admin.put(`/v1/admin/users/${ALICE.id}/roles`, { roles: ['user', 'admin'] });
    expect(await lifetime()).toBe(12 * HOUR);
    await admin.put(`/v1/admin/users/${ALICE.id}/roles`, { roles: ['user'] });
    expect(await lifetime()).toBe(90 * DAY);
  });
});

describe('last seen (L2)', () => {
  let a: TestApp;
  let lastSeen: LastSeenService;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    a = await startApp({ env: { REDIS_URL: undefined } });
    lastSeen = a.get(LastSeenService);
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    await lastSeen.flush();
    alice = await loggedIn(a, ALICE);
  });
  afterEach(() => void jest.restoreAllMocks());

  const seenAt = async (id = alice.id) =>
    (
      await a.query<{ at: Date }>('select last_seen_at as at from sessions where id = $1', [id])
    )[0]!.at.getTime();

  it('is written by no request: one later statement writes for all', async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => loggedIn(a, BOB)));
    const clients = [alice, ...others];
    for (const client of clients) await client.get(SESSION); // the sessions are cached now
    const before = await Promise.all(clients.map(({ id }) => seenAt(id)));
    a.clock.advance(61_000);
    for (const client of clients) await client.get(SESSION);
    const statements = jest.spyOn(a.get(CHECK_POOL), 'query');
    const usedAt = a.clock.now();
    for (const client of clients) {
      expect((await client.get(ACCESS)).status).toBe(200);
      expect((await client.get(SESSION)).status).toBe(200);
    }
    expect(statements).not.toHaveBeenCalled();
    expect(await Promise.all(clients.map(({ id }) => seenAt(id)))).toEqual(before);
    await lastSeen.flush();
    expect(statements).toHaveBeenCalledTimes(1);
    for (const { id } of clients) expect(await seenAt(id)).toBeGreaterThanOrEqual(usedAt);
    await lastSeen.flush();
    expect(statements).toHaveBeenCalledTimes(1);
  });

  it('is not written when it is younger than LAST_SEEN_RESOLUTION', async () => {
    const before = await seenAt();
    a.clock.advance(50_000);
    await alice.get(ACCESS);
    await lastSeen.flush();
    expect(await seenAt()).toBe(before);
    a.clock.advance(10_000);
    await alice.get(ACCESS);
    await lastSeen.flush();
    expect(await seenAt()).toBeGreaterThanOrEqual(before + 60_000);
  });

  it('only moves forward', async () => {
    lastSeen.touch(alice.id);
    const newer = new Date(a.clock.now() + HOUR);
    await a.query('update sessions set last_seen_at = $2 where id = $1', [alice.id, newer]);
    await lastSeen.flush();
    expect(await seenAt()).toBe(newer.getTime());
  });

  it('never resurrects, nor touches an ended session [SES-14]', async () => {
    await alice.copy().post('/v1/auth/logout');
    const before = await seenAt();
    a.clock.advance(HOUR);
    lastSeen.touch(alice.id);
    await lastSeen.flush();
    expect(await seenAt()).toBe(before);
    expect(await alice.refresh()).toMatchObject(ended('logout'));
  });

  it('is kept for the next flush when PostgreSQL fails', async () => {
    a.clock.advance(HOUR);
    const usedAt = a.clock.now();
    lastSeen.touch(alice.id);
    jest.spyOn(a.get(CHECK_POOL), 'query').mockRejectedValueOnce(new Error('away') as never);
    await expect(lastSeen.flush()).rejects.toThrow('away');
    await lastSeen.flush();
    expect(await seenAt()).toBeGreaterThanOrEqual(usedAt);
  });

  it('is kept for the next flush, and a use meanwhile is newer', async () => {
    a.clock.advance(HOUR);
    lastSeen.touch(alice.id);
    jest.spyOn(a.get(CHECK_POOL), 'query').mockImplementationOnce((async () => {
      a.clock.advance(1_000);
      lastSeen.touch(alice.id); // while the statement is under way
      throw new Error('away');
    }) as never);
    await expect(lastSeen.flush()).rejects.toThrow('away');
    const newest = a.clock.now();
    a.clock.advance(HOUR);
    await lastSeen.flush();
    expect(Math.abs((await seenAt()) - newest)).toBeLessThan(900);
  });

  it('is written at an orderly shutdown', async () => {
    const before = await seenAt();
    a.clock.advance(HOUR);
    lastSeen.touch(alice.id);
    await lastSeen.beforeApplicationShutdown();
    expect(await seenAt()).toBeGreaterThanOrEqual(before + HOUR);
  });
});
