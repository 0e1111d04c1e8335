import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { CacheUnavailable } from '../src/platform/cache/cache-port.js';
import { random } from '../src/platform/runtime/random.js';
import { DenialList } from '../src/sessions/revocation/denial-list.js';
import { RevocationSubscriber } from '../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import { SessionCache } from '../src/sessions/check/session-cache.js';
import {
  ADMIN,
  ALICE,
  BOB,
  PASSWORD,
  resetClock,
  resetStores,
  startApp,
  type TestApp,
} from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { TestClock } from './support/clock.js';
import { createUsers, expectBothTiers, loggedIn, type Person } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { connect, disconnect, eventually, untilBlocked } from './support/waiting.js';
import { PRODUCT } from '../src/product.js';

/**
 * Real: PostgreSQL, Redis, one or two instances of the application over HTTP. Controlled: the clock, notifications,
 * polls, and row locks.
 */

const ACCESS = '/v1/probe/flags';
const SESSION = '/v1/sessions/current';
const ended = (reason: string) => ({ status: 401, body: { code: 'auth.session_ended', reason } });
const problem = (status: number, code: string) => ({ status, body: { code } });
const applied = (endedSessions: number) => ({ status: 200, body: { status: 'applied', endedSessions } });

/** The content of an answer, without the request id. */
function withoutIds({ status, body }: Answer): object {
  return { status, body: { ...body, instance: undefined, requestId: undefined } };
}

afterEach(async () => {
  jest.restoreAllMocks();
  await disconnect();
});

const BY_DELETE = ['DELETE', '/v1/admin/sessions'] as const;
/** For proxies and clients that drop the body of a DELETE. */
const BY_POST = ['POST', '/v1/admin/sessions/end-all'] as const;
const endEveryone = (admin: Client, [method, path]: typeof BY_DELETE | typeof BY_POST = BY_DELETE) =>
  admin.request(method, path, { body: { confirm: 'everyone' } });

describe('ending sessions', () => {
  let a: TestApp;
  let admin: Person;
  let alice: Person;
  let other: Person;
  let bob: Person;

  beforeAll(async () => {
    await resetStores();
    a = await startApp();
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    await resetClock(a);
    await a.query(`update sessions set status = 'ended', end_reason = 'logout', ended_at = now()
                   where status = 'active'`);
    admin = await loggedIn(a, ADMIN);
    alice = await loggedIn(a, ALICE);
    other = await loggedIn(a, ALICE);
    bob = await loggedIn(a, BOB);
  });

  describe("of one's own", () => {
    it('lists only these, newest first, and marks the current one [SES-10]', async () => {
      const { body } = await alice.get('/v1/sessions');
      expect(body.items.map(({ id, current, status }: never) => ({ id, current, status }))).toEqual([
        { id: other.id, current: false, status: 'active' },
        { id: alice.id, current: true, status: 'active' },
      ]);
      expect((await alice.get(SESSION)).body).toMatchObject({ id: alice.id, current: true });
    });

    it('lists place and time, and no credentials [SES-10, AZ-03]', async () => {
      const { body, text } = await alice.get('/v1/sessions');
      const names =
        'authenticatedAt createdAt current device expiresAt id idleExpiresAt ip lastSeenAt status transport'.split(
          ' ',
        );
      for (const item of body.items) expect(Object.keys(item).sort()).toEqual(names);
      for (const client of [alice, other])
        for (const token of [client.accessToken!, client.refreshToken!, client.deviceToken!])
          expect(text).not.toContain(token);
    });

    it('works one by one [SES-10]', async () => {
      expect(await alice.delete(`/v1/sessions/${other.id}`)).toMatchObject(applied(1));
      await expectBothTiers(other, ended('logout'));
      await expectBothTiers(alice, { status: 200 });
      expect((await alice.get('/v1/sessions')).body.items).toHaveLength(1);
    });

    it('answers the same for a foreign id and an unknown one, and changes nothing [AZ-01, SES-11]', async () => {
      const answers = await Promise.all(
        [bob.id, random.uuidAt(Date.now()), random.uuid()].map((id) => alice.delete(`/v1/sessions/${id}`)),
      );
      const said = answers.map(withoutIds);
      expect(said[0]).toMatchObject(problem(404, 'resource.not_found'));
      expect(new Set(said.map((answer) => JSON.stringify(answer))).size).toBe(1);
      await expectBothTiers(bob, { status: 200 });
      expect(await alice.delete('/v1/sessions/not-an-id')).toMatchObject(problem(400, 'request.invalid'));
    });

    it('works for all but the current one [SES-10]', async () => {
      expect(await alice.delete('/v1/sessions?except=current')).toMatchObject(applied(1));
      await expectBothTiers(other, ended('logout_others'));
      await expectBothTiers(alice, { status: 200 });
      await expectBothTiers(bob, { status: 200 });
      expect(await alice.delete('/v1/sessions?except=current')).toMatchObject(applied(0));
    });

    it('works for all at once [SES-10]', async () => {
      expect(await alice.delete('/v1/sessions')).toMatchObject(applied(2));
      for (const client of [alice, other]) await expectBothTiers(client, ended('logout'));
      await expectBothTiers(bob, { status: 200 });
    });

    it('ends all only for exactly that request, and never by a misspelled parameter', async () => {
      for (const query of ['?except=others', '?except=', '?except=current&x=1', '?only=current']) {
        expect(await alice.delete(`/v1/sessions${query}`)).toMatchObject(problem(400, 'request.invalid'));
      }
      await expectBothTiers(other, { status: 200 });
    });

    it('returns the first receipt when it is repeated, and writes nothing new [ADM-01]', async () => {
      const first = await alice.delete(`/v1/sessions/${other.id}`);
      const countOf = () =>
        a.query('select count(*) from revocations union all select count(*) from audit_events');
      const before = await countOf();
      const again = await Promise.all([1, 2, 3].map(() => alice.delete(`/v1/sessions/${other.id}`)));
      for (const { status, body } of again) {
        expect({ status, body }).toMatchObject({ ...applied(0), body: { seq: first.body.seq } });
      }
      expect(await countOf()).toEqual(before);
    });

    it('returns the first receipt for a session that has expired, too', async () => {
      await a.query(
        `update sessions set status = 'ended', end_reason = 'idle', ended_at = now() where id = $1`,
        [other.id],
      );
      const first = await alice.delete(`/v1/sessions/${other.id}`);
      expect(first).toMatchObject(applied(0));
      const again = await alice.delete(`/v1/sessions/${other.id}`);
      expect(again).toMatchObject({ status: first.status, body: { seq: first.body.seq } });
      expect(await other.get(SESSION)).toMatchObject(ended('idle'));
    });

    it('takes effect once when it is requested twice at the same time', async () => {
      const answers = await Promise.all([1, 2, 3, 4, 5].map(() => alice.delete(`/v1/sessions/${other.id}`)));
      expect(answers.map(({ body }) => body.endedSessions).sort()).toEqual([0, 0, 0, 0, 1]);
      expect(new Set(answers.map(({ body }) => body.seq)).size).toBe(1);
    });
  });

  describe('by an admin', () => {
    it('ends all sessions of one user, and a login right after is accepted [ADM-01]', async () => {
      const receipt = await admin.delete(`/v1/admin/users/${ALICE.id}/sessions`);
      expect(receipt).toMatchObject(applied(2));
      for (const client of [alice, other]) await expectBothTiers(client, ended('admin'));
      expect(await alice.refresh()).toMatchObject(ended('admin'));
      await expectBothTiers(bob, { status: 200 });
      await expectBothTiers(await loggedIn(a, ALICE), { status: 200 });
      const list = async (status: string) =>
        (await admin.get(`/v1/admin/users/${ALICE.id}/sessions?status=${status}`)).body.items;
      expect(await list('active')).toHaveLength(1);
      expect(await list('ended')).toContainEqual(
        expect.objectContaining({ id: alice.id, endReason: 'admin', endedAt: expect.any(String) }),
      );
    });

    it('ends one session [ADM-01]', async () => {
      expect(await admin.delete(`/v1/admin/sessions/${alice.id}`)).toMatchObject(applied(1));
      await expectBothTiers(alice, ended('admin'));
      await expectBothTiers(other, { status: 200 });
    });

    it('answers 404 for unknown ids', async () => {
      const unknown = random.uuid();
      for (const answer of [
        await admin.delete(`/v1/admin/sessions/${unknown}`),
        await admin.delete(`/v1/admin/users/${unknown}/sessions`),
        await admin.get(`/v1/admin/users/${unknown}/sessions`),
        await admin.get(`/v1/admin/users/${unknown}`),
        await admin.post(`/v1/admin/users/${unknown}/ban`, { reason: 'x' }),
        await admin.delete(`/v1/admin/users/${unknown}/ban`),
        await admin.put(`/v1/admin/users/${unknown}/roles`, { roles: [] }),
        await admin.get('/v1/admin/revocations/999999999'),
      ]) {
        expect(answer).toMatchObject(problem(404, 'resource.not_found'));
      }
      expect(await admin.get('/v1/admin/revocations/1e3')).toMatchObject(problem(400, 'request.invalid'));
    });

    it('returns the receipt on request', async () => {
      const receipt = await admin.delete(`/v1/admin/sessions/${alice.id}`);
      const later = await admin.get(`/v1/admin/revocations/${receipt.body.seq}`);
      expect(later).toMatchObject({
        status: 200,
        body: {
          seq: receipt.body.seq,
          status: 'applied',
          endedSessions: 1,
          accessTierBy: receipt.body.accessTierBy,
        },
      });
    });

    it('requires the stored role, on every admin route [ADM-02, ADM-03, AZ-01]', async () => {
      const routes: [string, string][] = [
        ['GET', '/v1/admin/users'],
        ['GET', `/v1/admin/users/${BOB.id}`],
        ['GET', `/v1/admin/users/${BOB.id}/sessions`],
        ['GET', '/v1/admin/audit-events'],
        ['GET', '/v1/admin/revocations/1'],
        ['DELETE', `/v1/admin/users/${BOB.id}/sessions`],
        ['DELETE', `/v1/admin/sessions/${bob.id}`],
        ['DELETE', '/v1/admin/sessions'],
        ['DELETE', `/v1/admin/users/${BOB.id}/ban`],
        ['POST', `/v1/admin/users/${BOB.id}/ban`],
        ['PUT', `/v1/admin/users/${ALICE.id}/roles`],
      ];
      for (const [method, path] of routes) {
        expect(await alice.request(method as 'GET', path)).toMatchObject(problem(403, 'auth.forbidden'));
      }
      await expectBothTiers(bob, { status: 200 });
    });
  });

  describe('of everyone', () => {
    it('requires a confirmation and a fresh session, by DELETE as by POST [ADM-01]', async () => {
      for (const [method, path] of [BY_DELETE, BY_POST]) {
        for (const body of [
          undefined,
          {},
          { confirm: 'all' },
          { confirm: true },
          { confirm: 'everyone', x: 1 },
        ]) {
          const answer = await admin.request(method, path, { body });
          expect(answer).toMatchObject(problem(400, 'request.invalid'));
        }
      }
      a.clock.advance(5 * 60_000);
      for (const by of [BY_DELETE, BY_POST]) {
        expect(await endEveryone(admin, by)).toMatchObject({
          ...problem(401, 'auth.reauthentication_required'),
          headers: {
            'www-authenticate': expect.stringMatching(
              /error="insufficient_user_authentication".*max_age="300"/,
            ),
          },
        });
      }
      await expectBothTiers(alice, { status: 200 });
      await admin.post('/v1/auth/reauthenticate', { password: PASSWORD }).then((answer) => {
        admin.accessToken = answer.body.accessToken;
      });
      expect(await endEveryone(admin)).toMatchObject(applied(4));
    });

    it.each([BY_DELETE, BY_POST])(
      'by %s %s ends them all, and a session that begins a moment later lives [ADM-01]',
      async (...by) => {
        expect(await endEveryone(admin, by)).toMatchObject(applied(4));
        const after = await Promise.all([ADMIN, ALICE, BOB].map((user) => loggedIn(a, user)));
        for (const client of [admin, alice, other, bob]) {
          await expectBothTiers(client, ended('admin_everyone'));
          expect(await client.refresh()).toMatchObject(ended('admin_everyone'));
        }
        for (const client of after) {
          await expectBothTiers(client, { status: 200 });
          expect((await client.refresh()).status).toBe(200);
        }
      },
    );

    it('ends the sessions of 1,200 users with one notice, in batches, without exception', async () => {
      await alice.get(SESSION);
      await createUsers(a, 1_200);
      const buried = jest.spyOn(a.get(SessionCache), 'writeTombstones');
      const { body } = await endEveryone(admin);
      // The answer waits for the sweep only briefly, and the sweep ends with `applied`.
      await eventually(async () => {
        const marked = `select ended_sessions from revocations where seq = $1 and applied_at is not null`;
        expect(await a.query(marked, [body.seq])).toEqual([{ ended_sessions: 1_204 }]);
      });
      const batches: number[] = Array(12).fill(100);
      expect(buried.mock.calls.map(([ids]) => ids.length)).toEqual([...batches, 4]);
      const [left] = await a.query(
        `select count(*) filter (where status = 'active')::int active,
                count(*) filter (where revocation_seq = $1 and end_reason = 'admin_everyone')::int swept from sessions`,
        [body.seq],
      );
      expect(left).toEqual({ active: 0, swept: 1_204 });
      const [notices] = await a.query('select count(*)::int from revocations where seq >= $1', [body.seq]);
      expect(notices).toEqual({ count: 1 });
      await expectBothTiers(alice, ended('admin_everyone'));
    });

    it('is not `applied` while a session is locked, and is as soon as it is free', async () => {
      await bob.get(SESSION);
      const outside = await connect();
      await outside.query('begin');
      await outside.query('select from sessions where id = $1 for update', [bob.id]);
      const receipt = await endEveryone(admin);
      expect(receipt).toMatchObject({
        status: 202,
        body: { status: 'pending', endedSessions: 3, remainingSessions: 1 },
      });
      await expectBothTiers(alice, ended('admin_everyone'));

      const again = await loggedIn(a, ADMIN);
      const { seq } = receipt.body;
      // A repeated request for one of them returns no more than is true of all, and no count.
      const one = await again.delete(`/v1/admin/sessions/${alice.id}`);
      expect(one).toMatchObject({ status: 202, body: { seq, status: 'pending', endedSessions: 0 } });
      expect(one.body).not.toHaveProperty('remainingSessions');
      expect((await again.get(`/v1/admin/revocations/${seq}`)).body.status).toBe('pending');
      await outside.query('rollback');
      await eventually(async () =>
        expect((await again.get(`/v1/admin/revocations/${seq}`)).body.status).toBe('applied'),
      );
      await expectBothTiers(bob, ended('admin_everyone'));
    });

    it('is not `applied` when the cache has missed a batch, not even by the dispatcher', async () => {
      await alice.get(SESSION);
      jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValueOnce(new CacheUnavailable());
      const receipt = await endEveryone(admin);
      expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
      const again = await loggedIn(a, ADMIN);
      await eventually(async () => {
        const { body } = await again.get(`/v1/admin/revocations/${receipt.body.seq}`);
        expect(body.status).toBe('applied');
      });
      await expectBothTiers(alice, ended('admin_everyone'));
    });
  });

  it('no store and no hand-written statement makes an ended session active again (S5)', async () => {
    await alice.delete(`/v1/sessions/${other.id}`);
    const revive = `update sessions set status = 'active', end_reason = null, ended_at = null where id = $1`;
    await expect(a.query(revive, [other.id])).rejects.toThrow(/has ended and stays ended/);
    await expect(a.query(`update sessions set status = 'active' where id = $1`, [other.id])).rejects.toThrow(
      /has ended and stays ended/,
    );
    expect(await other.get(SESSION)).toMatchObject(ended('logout'));
  });

  it('the denial list is empty again when the last token that it concerns has expired', async () => {
    await admin.delete(`/v1/admin/users/${ALICE.id}/sessions`);
    expect(a.get(DenialList).size).toBeGreaterThan(0);
    a.clock.advance(23 * 60_000); // 17, and the advance of an earlier test
    await a.get(RevocationSubscriber).catchUp();
    expect(a.get(DenialList).size).toBe(0);
    await expectBothTiers(alice, problem(401, 'auth.token_expired'));
  });
});

describe('within one millisecond, and on a clock that steps back', () => {
  /** The time stands still until the test advances it, for the process and for the database. */
  class StillClock extends TestClock {
    private at = Date.now();

    override advance(ms: number): void {
      this.at += ms;
    }
    override now(): number {
      return this.at;
    }
    override fromDatabase(): number {
      return this.at;
    }
  }

  let a: TestApp;
  let admin: Client;

  beforeAll(async () => {
    await resetStores();
    a = await startApp({ clock: new StillClock() });
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    admin = await loggedIn(a, ADMIN);
  });

  const ends: [string, (who: Client) => Promise<Answer>][] = [
    ['one user', (by) => by.delete(`/v1/admin/users/${ALICE.id}/sessions`)],
    ['everyone', endEveryone],
  ];

  it.each(ends)('a login right after the end of %s is accepted', async (_, end) => {
    const before = await loggedIn(a, ALICE);
    expect(await end(admin)).toMatchObject({ status: 200 });
    const after = await loggedIn(a, ALICE);
    expect((await before.get(SESSION)).status).toBe(401);
    expect((await before.get(ACCESS)).status).toBe(401);
    await expectBothTiers(after, { status: 200 });
  });

  it.each(ends)('a second end of %s also ends sessions that began in between', async (_, end) => {
    await end(admin);
    admin = await loggedIn(a, ADMIN);
    const between = await loggedIn(a, ALICE);
    await end(admin);
    expect((await between.get(SESSION)).status).toBe(401);
    expect((await between.get(ACCESS)).status).toBe(401);
    await expectBothTiers(await loggedIn(a, ALICE), { status: 200 });
  });

  it.each(ends)(
    'the end of %s includes sessions that began before the clock stepped back',
    async (_, end) => {
      const alice = await loggedIn(a, ALICE);
      a.clock.advance(-3_000);
      await end(admin);
      expect((await alice.get(SESSION)).status).toBe(401);
      expect((await alice.get(ACCESS)).status).toBe(401);
      await expectBothTiers(await loggedIn(a, ALICE), { status: 200 });
    },
  );
});

describe('the status of an account', () => {
  let a: TestApp;
  let admin: Person;
  let alice: Person;
  const OTHER_ADMIN = { email: 'second@example.com', id: random.uuid() };

  beforeAll(async () => {
    await resetStores();
    a = await startApp();
    await a.query(
      `insert into users (id, email, password_hash, roles, created_at)
       select $1, $2, password_hash, '{user,admin}', now() from users where email = $3`,
      [OTHER_ADMIN.id, OTHER_ADMIN.email, ADMIN.email],
    );
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    await resetClock(a);
    admin = await loggedIn(a, ADMIN);
    alice = await loggedIn(a, ALICE);
  });

  const ban = (body: object, id = ALICE.id) => admin.post(`/v1/admin/users/${id}/ban`, body);
  const liftBan = () => admin.delete(`/v1/admin/users/${ALICE.id}/ban`);
  const setRoles = (by: Client, id: string, roles: string[]) =>
    by.put(`/v1/admin/users/${id}/roles`, { roles });

  describe('a ban', () => {
    afterEach(async () => {
      expect((await liftBan()).status).toBe(200);
    });

    it('ends all sessions, and blocks login and refresh [SES-03, SES-12]', async () => {
      const other = await loggedIn(a, ALICE);
      const receipt = await ban({ reason: 'Spam' });
      expect(receipt.body.endedSessions).toBeGreaterThanOrEqual(2);
      expect(receipt).toMatchObject({ status: 200, body: { status: 'applied' } });
      for (const client of [alice, other]) {
        await expectBothTiers(client, ended('ban'));
        expect(await client.refresh()).toMatchObject(ended('ban'));
      }
      const refused = await a.client().login(ALICE.email, PASSWORD);
      expect(refused).toMatchObject(problem(401, 'auth.invalid_credentials'));
      const unknown = await a.client().login('unknown@example.com', PASSWORD);
      expect(withoutIds(refused)).toEqual(withoutIds(unknown));
      expect((await admin.get(`/v1/admin/users/${ALICE.id}`)).body).toMatchObject({
        banned: true,
        banReason: 'Spam',
        bannedUntil: null,
      });
    });

    it('restores no session when it is lifted, and login works again', async () => {
      await ban({ reason: 'Spam' });
      expect(await liftBan()).toMatchObject(applied(0));
      await expectBothTiers(alice, ended('ban'));
      expect(await alice.refresh()).toMatchObject(ended('ban'));
      await expectBothTiers(await loggedIn(a, ALICE), { status: 200 });
      expect((await admin.get(`/v1/admin/users/${ALICE.id}`)).body).toMatchObject({ banned: false });
    });

    it('with an end ends at that time, and not earlier', async () => {
      // The test cannot move PostgreSQL's clock, for which that end is long past.
      a.clock.advance(-86_400_000);
      // A clock that is set back is corrected until the next comparison with PostgreSQL, which a poll makes.
      await a.get(RevocationSubscriber).catchUp();
      [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
      const until = new Date(a.clock.now() + 60_000).toISOString();
      expect((await ban({ reason: 'Cool down', until })).status).toBe(200);
      a.clock.advance(50_000);
      expect((await a.client().login(ALICE.email, PASSWORD)).status).toBe(401);
      a.clock.advance(10_000);
      await expectBothTiers(alice, ended('ban'));
      await expectBothTiers(await loggedIn(a, ALICE), { status: 200 });
    });

    it('requires a reason, and an end in the future', async () => {
      const yesterday = new Date(a.clock.now() - 86_400_000).toISOString();
      for (const body of [
        {},
        { reason: '' },
        { reason: 'x', until: yesterday },
        { reason: 'x', until: 'soon' },
      ]) {
        expect(await ban(body)).toMatchObject(problem(400, 'request.invalid'));
      }
      await expectBothTiers(alice, { status: 200 });
    });
  });

  describe('roles', () => {
    it('are in force on the next checked request, granted or removed, even if the session is cached [ADM-02]', async () => {
      for (const roles of [['user', 'admin'], ['user'], ['user', 'admin'], ['user']]) {
        await alice.get(SESSION);
        expect(await setRoles(admin, ALICE.id, roles)).toMatchObject({ status: 200, body: { roles } });
        expect((await alice.get('/v1/admin/users')).status).toBe(roles.includes('admin') ? 200 : 403);
      }
    });

    it('require a fresh session, and existing role names', async () => {
      expect(await setRoles(admin, ALICE.id, ['root'])).toMatchObject(problem(400, 'request.invalid'));
      a.clock.advance(5 * 60_000);
      expect(await setRoles(admin, ALICE.id, ['user', 'admin'])).toMatchObject(
        problem(401, 'auth.reauthentication_required'),
      );
      expect((await alice.get('/v1/admin/users')).status).toBe(403);
    });
  });

  describe('the last admin', () => {
    beforeEach(async () => {
      await a.query(`update users set roles = '{user,admin}' where id = any($1)`, [
        [ADMIN.id, OTHER_ADMIN.id],
      ]);
    });
    afterAll(() => a.query(`update users set roles = '{user,admin}' where id = $1`, [ADMIN.id]));

    it('can be neither demoted, banned, nor deleted [ADM-03]', async () => {
      expect((await setRoles(admin, OTHER_ADMIN.id, ['user'])).status).toBe(200);
      for (const act of [
        () => setRoles(admin, ADMIN.id, ['user']),
        () => ban({ reason: 'x' }, ADMIN.id),
        () => admin.delete('/v1/users/me'),
      ]) {
        expect(await act()).toMatchObject(problem(409, 'resource.conflict'));
      }
      expect((await admin.get('/v1/admin/users')).status).toBe(200);
    });

    it('is counted without banned admins', async () => {
      expect((await ban({ reason: 'x' }, OTHER_ADMIN.id)).status).toBe(200);
      expect(await setRoles(admin, ADMIN.id, ['user'])).toMatchObject(problem(409, 'resource.conflict'));
      expect((await admin.delete(`/v1/admin/users/${OTHER_ADMIN.id}/ban`)).status).toBe(200);
      expect((await setRoles(admin, ADMIN.id, ['user'])).status).toBe(200);
    });

    it('stays even if the last two demote each other at the same time [ADM-03]', async () => {
      const outside = await connect();
      for (let round = 0; round < 5; round++) {
        await a.query(`update users set roles = '{user,admin}' where id = any($1)`, [
          [ADMIN.id, OTHER_ADMIN.id],
        ]);
        const [first, second] = [await loggedIn(a, ADMIN), await loggedIn(a, OTHER_ADMIN)];
        await outside.query('begin');
        await outside.query('select from users where id = any($1) for update', [[ADMIN.id, OTHER_ADMIN.id]]);
        const both = [setRoles(first, OTHER_ADMIN.id, ['user']), setRoles(second, ADMIN.id, ['user'])];
        await untilBlocked(a, 2);
        await outside.query('commit');
        expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([200, 409]);
      }
    });
  });

  it('a new name that arrives while its account is deleted is not written to the remaining row [SES-12]', async () => {
    const email = 'dora@example.com';
    await a.client().post('/v1/auth/register', { email, password: PASSWORD, displayName: 'Dora' });
    const dora = await loggedIn(a, { email });
    const outside = await connect();
    await outside.query('begin');
    await outside.query('select from users where id = $1 for update', [dora.userId]);
    const deletion = dora.delete('/v1/users/me');
    await untilBlocked(a, 1);
    const renaming = dora.copy().patch('/v1/users/me', { displayName: 'Dora again' });
    await untilBlocked(a, 2);
    await outside.query('rollback');
    expect((await deletion).status).toBe(204);
    expect((await renaming).status).toBe(404);
    expect(await a.query('select display_name from users where id = $1', [dora.userId])).toEqual([
      { display_name: null },
    ]);
  });

  it('the deletion of an account removes its sessions and all personal data [SES-12]', async () => {
    const email = 'carol@example.com';
    await a.client().post('/v1/auth/register', { email, password: PASSWORD, displayName: 'Carol' });
    const [carol, other] = [await loggedIn(a, { email }), await loggedIn(a, { email })];
    a.clock.advance(5 * 60_000);
    expect(await carol.delete('/v1/users/me')).toMatchObject(problem(401, 'auth.reauthentication_required'));
    const again = await loggedIn(a, { email });
    const { id } = (await again.get('/v1/users/me')).body;
    await a.query(
      `insert into mails (recipient, template, data, created_at, next_attempt_at, given_up_at)
       select recipient, 'new_device', '{}', now(), 'infinity', given_up_at
       from (values ($1, null), ($1, now()), ($2, null::timestamptz)) mails (recipient, given_up_at)`,
      [email, `not-${email}`],
    );
    expect((await again.delete('/v1/users/me')).status).toBe(204);
    expect(await a.query('select recipient from mails where recipient like $1', [`%${email}`])).toEqual([
      { recipient: `not-${email}` },
    ]);
    for (const client of [carol, other, again]) {
      await expectBothTiers(client, ended('account_deleted'));
      expect(await client.refresh()).toMatchObject(ended('account_deleted'));
    }
    expect(await a.client().login(email, PASSWORD)).toMatchObject(problem(401, 'auth.invalid_credentials'));
    expect(await a.query('select email, display_name, password_hash from users where id = $1', [id])).toEqual(
      [{ email: null, display_name: null, password_hash: null }],
    );
    expect((await admin.get(`/v1/admin/users/${id}`)).status).toBe(404);
  });

  it('users are listed newest first, in pages that neither repeat nor skip, and found by the beginning of an address', async () => {
    await Promise.all(
      Array.from({ length: 7 }, (_, n) =>
        a.client().post('/v1/auth/register', { email: `page_${n}@example.com`, password: PASSWORD }),
      ),
    );
    const found: { email: string; createdAt: string }[] = [];
    let cursor = '';
    do {
      const { body } = await admin.get(`/v1/admin/users?limit=3&query=PAGE_${cursor && `&cursor=${cursor}`}`);
      expect(body.items.length).toBeLessThanOrEqual(3);
      found.push(...body.items);
      cursor = body.nextCursor;
    } while (cursor);
    expect(found.map(({ email }) => email).sort()).toEqual(
      Array.from({ length: 7 }, (_, n) => `page_${n}@example.com`),
    );
    const times = found.map(({ createdAt }) => createdAt);
    expect(times).toEqual([...times].sort().reverse());
    for (const wrong of ['limit=0', 'limit=201', 'limit=x', 'cursor=x', 'cursor=WzFd', 'x=1']) {
      expect(await admin.get(`/v1/admin/users?${wrong}`)).toMatchObject(problem(400, 'request.invalid'));
    }
    expect((await admin.get(`/v1/admin/users?query=${encodeURIComponent('%')}`)).body.items).toEqual([]);
  });
});

describe('the audit log', () => {
  let a: TestApp;
  let admin: Person;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    a = await startApp();
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    await a.query(
      `update users set banned_at = null, banned_until = null, roles = case when id = $1
                   then '{user,admin}'::text[] else '{user}' end`,
      [ADMIN.id],
    );
    admin = await loggedIn(a, ADMIN);
    alice = await loggedIn(a, ALICE);
  });

  const acts: [string, string, (admin: Client, alice: Person) => Promise<Answer>][] = [
    ['the end of a session', 'session_ended', (by, { id }) => by.delete(`/v1/admin/sessions/${id}`)],
    ["the end of a user's sessions", 'session', (by) => by.delete(`/v1/admin/users/${ALICE.id}/sessions`)],
    ["the end of everyone's sessions", 'sessions_ended_everywhere', (by) => endEveryone(by)],
    ["the end of everyone's sessions by POST", 'sessions_ended_everywhere', (by) => endEveryone(by, BY_POST)],
    ['a ban', 'user_banned', (by) => by.post(`/v1/admin/users/${ALICE.id}/ban`, { reason: 'Spam' })],
    ['its end', 'user_ban_lifted', (by) => by.delete(`/v1/admin/users/${ALICE.id}/ban`)],
    [
      'a change of roles',
      'privilege_permissions_changed',
      (by) => by.put(`/v1/admin/users/${ALICE.id}/roles`, { roles: ['user', 'admin'] }),
    ],
    ['the end of an own session', 'session_ended', (_, own) => own.delete(`/v1/sessions/${own.id}`)],
    ['a logout', 'session_ended', (_, own) => own.post('/v1/auth/logout')],
    ['the end of an account', 'user_deleted', (_, own) => own.delete('/v1/users/me')],
  ];

  it.each(acts)('has an event for %s, or the action fails [ADM-01, LOG-06]', async (_, type, act) => {
    const state = () =>
      a.query(`
        select (select json_agg(s order by s.id) from (select id, status, end_reason from sessions) s) as sessions,
               (select json_agg(u order by u.id) from (select id, email, roles, banned_at, deleted_at, sessions_not_before from users) u) as users,
               (select count(*) from revocations) as revocations, (select not_before from session_epoch) as epoch`);
    const before = await state();
    await a.query(`create function refuse_audit() returns trigger language plpgsql as $$
                   begin raise exception 'the disk is full'; end $$`);
    await a.query('create trigger refuse before insert on audit_events execute function refuse_audit()');
    try {
      expect(await act(admin, alice)).toMatchObject(problem(500, 'internal.error'));
    } finally {
      await a.query('drop function refuse_audit cascade');
    }
    expect(await state()).toEqual(before);
    await expectBothTiers(alice, { status: 200 });

    const own = /own|logout|account/.test(_);
    const { status } = await act(admin, alice);
    expect([200, 204]).toContain(status);
    const [event] = await a.query('select * from audit_events order by id desc limit 1');
    expect(event).toMatchObject({
      type: expect.stringMatching(type),
      actor_id: own ? ALICE.id : ADMIN.id,
      ip: '127.0.0.1',
      user_agent: 'lightMyRequest',
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    if (type !== 'sessions_ended_everywhere') expect(event).toMatchObject({ user_id: ALICE.id });
    if (type === 'user_deleted') {
      await a.query(
        `update users set deleted_at = null, email = $2, roles = '{user}',
           password_hash = (select password_hash from users where id = $3) where id = $1`,
        [ALICE.id, ALICE.email, ADMIN.id],
      );
    }
  });

  it('contains no token [LOG-03]', async () => {
    const native = await loggedIn(a, ALICE);
    await native.refresh();
    const secrets = [native.accessToken!, native.refreshToken!, native.deviceToken!, PASSWORD];
    await native.post('/v1/auth/logout');
    const text = JSON.stringify(await a.query('select * from audit_events'));
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it('is read newest first, in pages that neither repeat nor skip, while it grows', async () => {
    const marker = random.uuid();
    const add = (count: number) =>
      a.query(
        `insert into audit_events (type, user_id) select 'test_event', $1 from generate_series(1, ${count})`,
        [marker],
      );
    await add(7);
    const expected = (
      await a.query<{ id: string }>('select id from audit_events where user_id = $1 order by id desc', [
        marker,
      ])
    ).map(({ id }) => id);
    const found: string[] = [];
    let cursor = '';
    do {
      const { body } = await admin.get(
        `/v1/admin/audit-events?limit=3&userId=${marker}${cursor && `&cursor=${cursor}`}`,
      );
      found.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor;
      await add(1);
    } while (cursor);
    expect(found).toEqual(expected);
  });

  it('is filtered by user, type and time', async () => {
    const [one, two] = [random.uuid(), random.uuid()];
    await a.query(
      `insert into audit_events (type, user_id, at) values
         ('first_event', $1, '2001-01-01T00:00:00Z'), ('second_event', $1, '2001-01-02T00:00:00Z'),
         ('first_event', $2, '2001-01-02T00:00:00Z'), ('first_event', $2, '2001-01-03T00:00:00Z')`,
      [one, two],
    );
    const find = async (query: string) =>
      (await admin.get(`/v1/admin/audit-events?${query}`)).body.items.map(
        ({ type, userId, at }: { type: string; userId: string; at: string }) =>
          `${type} ${userId === one ? 'one' : 'two'} ${at.slice(8, 10)}`,
      );
    expect(await find(`userId=${one}`)).toEqual(['second_event one 02', 'first_event one 01']);
    expect(await find('type=first_event')).toEqual([
      'first_event two 03',
      'first_event two 02',
      'first_event one 01',
    ]);
    expect(await find(`type=first_event&userId=${two}&to=2001-01-03T00:00:00Z`)).toEqual([
      'first_event two 02',
    ]);
    expect(await find('from=2001-01-02T00:00:00Z&to=2001-01-03T00:00:00Z')).toEqual([
      'first_event two 02',
      'second_event one 02',
    ]);
    for (const wrong of ['userId=me', 'type=%27', 'from=yesterday', 'limit=-1', 'cursor=x', 'sort=id']) {
      expect(await admin.get(`/v1/admin/audit-events?${wrong}`)).toMatchObject(
        problem(400, 'request.invalid'),
      );
    }
  });
});

describeWithRedis('the revocation feed', () => {
  let a: TestApp;
  let b: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
  });
  beforeEach(async () => {
    [a, b] = [await startApp(), await startApp()];
    alice = (await loggedIn(a, ALICE)).at(b);
  });
  afterEach(async () => {
    await Promise.all([a.close(), b.close()]);
  });

  const endAlice = async () =>
    (await a.get(RevocationService).endSession(alice.id, { reason: 'admin', actorId: null, context: null }))!;
  const insides = (app: TestApp) =>
    app.get(RevocationSubscriber) as unknown as {
      client: pg.Client;
      cursor: object;
      stop: () => void;
      poll(): Promise<void>;
    };
  const stopPolling = (app: TestApp) => insides(app).stop();
  const stopListening = (app: TestApp) => insides(app).client.query('unlisten *');

  it('makes the instance that revokes refuse at once, without a notification', async () => {
    alice.at(a);
    stopPolling(a);
    await stopListening(a);
    await endAlice();
    expect(await alice.get(ACCESS)).toMatchObject(ended('admin'));
  });

  it('reaches the access tier of another instance by notification alone', async () => {
    stopPolling(b);
    await expectBothTiers(alice, { status: 200 });
    await endAlice();
    await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject(ended('admin')));
  });

  it('reaches it by the poll when the notification is lost', async () => {
    await stopListening(b);
    await expectBothTiers(alice, { status: 200 });
    await endAlice();
    await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject(ended('admin')));
  });

  it('recovers by itself when its connection is cut, and has missed nothing', async () => {
    await b.query(`select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = '${PRODUCT.applicationName.feed}' and datname = current_database()`);
    await endAlice();
    await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject(ended('admin')));
    const again = (await loggedIn(a, ALICE)).at(b);
    stopPolling(b);
    await a.get(RevocationService).endSession(again.id, { reason: 'admin', actorId: null, context: null });
    await eventually(async () => expect(await again.get(ACCESS)).toMatchObject(ended('admin')));
  });

  it('misses nothing of a PostgreSQL that was promoted or restored and has lower transaction ids', async () => {
    Object.assign(insides(b).cursor, { position: '99999999999' });
    await b.query(`select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = '${PRODUCT.applicationName.feed}' and datname = current_database()`);
    await endAlice();
    await eventually(async () => expect(await alice.get(ACCESS)).toMatchObject(ended('admin')));
  });

  it('queries no store on the request path of the access tier', async () => {
    await alice.get(ACCESS);
    stopPolling(b);
    const asked = [
      jest.spyOn(insides(b).client, 'query'),
      jest.spyOn(b.get(SessionCache), 'read'),
      jest.spyOn(b.get(RevocationSubscriber), 'catchUp'),
    ];
    for (let round = 0; round < 3; round++) expect((await alice.get(ACCESS)).status).toBe(200);
    for (const spy of asked) expect(spy).not.toHaveBeenCalled();
  });

  it('refuses a receipt (X-Min-Revocation-Seq) on an instance that has not received its revocation', async () => {
    stopPolling(b);
    await stopListening(b);
    const { seq } = await endAlice();
    expect((await alice.get(ACCESS)).status).toBe(200);
    const headers = { 'x-min-revocation-seq': String(seq) };
    expect(await alice.get(ACCESS, { headers })).toMatchObject(ended('admin'));
  });

  it('does not count a poll that began before the revocation (X-Min-Revocation-Seq)', async () => {
    stopPolling(b);
    await stopListening(b);
    const { client } = insides(b);
    const outside = await connect();
    await outside.query('begin');
    await outside.query('lock table revocations in access exclusive mode');
    const before = b.get(RevocationSubscriber).catchUp(); // its snapshot is taken, its rows wait for the lock
    await untilBlocked(a, 1);
    await outside.query(
      `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
       values ('session', array[$1::uuid], 'admin', 1, now(), now() + interval '16 min', now())`,
      [alice.id],
    );
    const [{ seq }] = (await outside.query('select max(seq) as seq from revocations')).rows;
    const polls = jest.spyOn(client, 'query');
    const asked = alice.get(ACCESS, { headers: { 'x-min-revocation-seq': seq } });
    await outside.query('commit');
    await before;
    expect(await asked).toMatchObject(ended('admin'));
    expect(polls).toHaveBeenCalledTimes(1);
  });

  it('refuses an invalid sequence number as a bad request (X-Min-Revocation-Seq)', async () => {
    for (const seq of ['x', '-1', '1.5', '', '9'.repeat(19)]) {
      const answer = await alice.get(ACCESS, { headers: { 'x-min-revocation-seq': seq } });
      expect(answer).toMatchObject(problem(400, 'request.invalid'));
    }
  });

  it('has both of two revocations that committed in the opposite order of their numbers', async () => {
    const late = (await loggedIn(a, BOB)).at(b);
    const [first, second] = [await connect(), await connect()];
    const insert = (client: pg.Client, id: string) =>
      client.query<{ seq: string }>(
        `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
         values ('session', array[$1::uuid], 'admin', 1, now(), now() + interval '16 min', now()) returning seq`,
        [id],
      );
    await Promise.all([first, second].map((client) => client.query('begin')));
    const earlier = await insert(first, late.id);
    const later = await insert(second, alice.id);
    expect(Number(earlier.rows[0]!.seq)).toBeLessThan(Number(later.rows[0]!.seq));
    await second.query('commit');
    for (let round = 0; round < 3; round++) await b.get(RevocationSubscriber).catchUp();
    expect(await alice.get(ACCESS)).toMatchObject(ended('admin'));
    expect((await late.get(ACCESS)).status).toBe(200);
    await first.query('commit');
    await b.get(RevocationSubscriber).catchUp();
    expect(await late.get(ACCESS)).toMatchObject(ended('admin'));
  });

  it('does not read all old revocations again at each poll', async () => {
    await endAlice();
    const applied = jest.spyOn(b.get(DenialList), 'apply');
    // Any open transaction on this server holds the cursor back, also one of another worker.
    await eventually(async () => {
      applied.mockClear();
      await b.get(RevocationSubscriber).catchUp();
      expect(applied).not.toHaveBeenCalled();
    });
  });

  it('is loaded before a new instance serves a request (A3)', async () => {
    await endAlice();
    const c = await startApp();
    stopPolling(c);
    expect(await alice.at(c).get(ACCESS)).toMatchObject(ended('admin'));
    await c.close();
  });

  it('leaves no connection open, whatever is still requested of an instance that ends', async () => {
    const c = await startApp();
    const feed = c.get(RevocationSubscriber);
    const connections = async () =>
      (
        await a.query(`select from pg_stat_activity
                       where application_name = '${PRODUCT.applicationName.feed}' and datname = current_database()`)
      ).length;
    expect(await connections()).toBe(3);
    const asked = [feed.catchUp(), feed.catchUp()];
    await feed.onApplicationShutdown();
    asked.push(feed.catchUp());
    await Promise.allSettled(asked);
    await eventually(async () => expect(await connections()).toBe(2));
    await expect(feed.catchUp()).rejects.toThrow(/is shutting down/);
    expect(await connections()).toBe(2);
    await c.close();
  });

  it('a boot in the middle of revocations loses none of them (A3)', async () => {
    const doomed: Person[] = [];
    for (let count = 0; count < 9; count++) doomed.push(await loggedIn(a, [ALICE, BOB, ADMIN][count % 3]!));
    const spared = await loggedIn(a, BOB);
    const boot = startApp();
    const progress = { booted: false };
    void boot.finally(() => (progress.booted = true));
    const end = (id: string) =>
      a.get(RevocationService).endSession(id, { reason: 'admin', actorId: null, context: null });
    const [kept, ...rest] = doomed;
    for (const { id } of rest) await end(id);
    while (!progress.booted) await end((await loggedIn(a, ALICE)).id);
    const c = await boot;
    await end(kept!.id);
    for (const client of rest) expect(await client.at(c).get(ACCESS)).toMatchObject(ended('admin'));
    await eventually(async () => expect(await kept!.at(c).get(ACCESS)).toMatchObject(ended('admin')));
    await expectBothTiers(spared.at(c), { status: 200 });
    await c.close();
  });
});
