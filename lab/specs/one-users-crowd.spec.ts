import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer } from '../../test/support/client.js';
import { loggedIn, createUser, type TestUser } from '../../test/support/test-users.js';
import { connect, disconnect, eventually } from '../../test/support/waiting.js';

/** Real: PostgreSQL, Redis, the pools. A transaction outside of the application holds the locks. */

const CROWD = 15;

describe.each(['2', '10'])('with DATABASE_POOL_SIZE=%s, while an outside transaction holds locks', (size) => {
  let app: TestApp;
  let outside: pg.Client;
  let watch: pg.Client;
  let admin: TestUser;
  let alice: TestUser;
  let bob: TestUser;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { DATABASE_POOL_SIZE: size, SESSION_LIMIT: '1000' } });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    [outside, watch] = [await connect(), await connect()];
    [admin, alice, bob] = [await loggedIn(app, ADMIN), await loggedIn(app, ALICE), await loggedIn(app, BOB)];
    await outside.query('begin');
  });
  afterEach(disconnect);

  const lockUsers = (ids: string[]) =>
    outside.query('select from users where id = any($1) for update', [ids]);

  const times = (count: number, request: (index: number) => Promise<Answer>) =>
    Array.from({ length: count }, (_, index) => request(index));

  /** Waits until all have arrived: at least one of them waits for the lock. */
  const untilWaiting = () =>
    eventually(async () => {
      const { rows } = await watch.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      expect(rows.length).toBeGreaterThan(0);
    });

  /** Another user works normally, and the admin can end that user's sessions in each way. */
  async function expectOthersServed(): Promise<void> {
    const other = await loggedIn(app, BOB);
    expect((await other.refresh()).status).toBe(200);
    expect((await other.pay(randomUUID())).status).toBe(201);
    expect((await other.patch('/v1/users/me', { displayName: 'Bob' })).status).toBe(200);
    expect((await admin.delete(`/v1/admin/sessions/${other.id}`)).status).toBe(200);
    expect((await admin.delete(`/v1/admin/users/${BOB.id}/sessions`)).status).toBe(200);
    const ban = `/v1/admin/users/${BOB.id}/ban`;
    expect((await admin.post(ban, { reason: 'a test' })).status).toBe(200);
    expect((await admin.delete(ban)).status).toBe(200);
    const last = await loggedIn(app, BOB);
    expect((await last.delete('/v1/sessions')).status).toBe(200);
  }

  /**
   * Each waiting request is answered as without a lock, or with 503 and Retry-After. One of them may have ended the
   * others' session.
   */
  async function expectAnswered(crowd: Promise<Answer>[]): Promise<void> {
    await outside.query('rollback');
    for (const { status, headers } of await Promise.all(crowd)) {
      expect([200, 201, 202, 204, 401, 503]).toContain(status);
      if (status === 503) expect(headers['retry-after']).toBeDefined();
    }
  }

  it('15 logins and refreshes of one user delay no login, refresh, payment or force-logout of other users', async () => {
    await lockUsers([ALICE.id]);
    const crowd = [
      ...times(CROWD, () => app.client().login(ALICE.email, PASSWORD, { transport: 'bearer' })),
      ...times(CROWD, () => alice.copy().refresh()),
    ];
    await untilWaiting();
    await expectOthersServed();
    await expectAnswered(crowd);
  });

  if (size === '10') {
    it.each<[string, (index: number) => Promise<Answer>]>([
      ['payments', () => alice.copy().pay(randomUUID())],
      ['changes of the name', () => alice.copy().patch('/v1/users/me', { displayName: 'Alice' })],
      ['step-ups', () => alice.copy().reauthenticate({ password: PASSWORD })],
      ['enrolments', () => alice.copy().post('/v1/auth/mfa/totp')],
      ['logouts', () => alice.copy().post('/v1/auth/logout')],
      ['ends of sessions', () => alice.copy().delete('/v1/sessions?except=current')],
      ['force-logouts by an admin', () => admin.copy().delete(`/v1/admin/users/${ALICE.id}/sessions`)],
      ['changes of roles', () => admin.copy().put(`/v1/admin/users/${ALICE.id}/roles`, { roles: ['user'] })],
    ])('15 %s about one locked user delay no other user', async (_, request) => {
      await lockUsers([ALICE.id]);
      const crowd = times(CROWD, request);
      await untilWaiting();
      await expectOthersServed();
      await expectAnswered(crowd);
    });
  }

  it('refreshes and payments of one locked session delay no other user', async () => {
    await outside.query('select from sessions where id = $1 for update', [alice.id]);
    const crowd = times(CROWD, (index) =>
      index % 2 ? alice.copy().refresh() : alice.copy().pay(randomUUID()),
    );
    await untilWaiting();
    await expectOthersServed();
    await expectAnswered(crowd);
  });

  it('logins of twelve locked users delay no other user', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, () => createUser(app)));
    const { rows } = await watch.query('select id from users where email = any($1)', [
      people.map(({ email }) => email),
    ]);
    await lockUsers(rows.map(({ id }) => id as string));
    const crowd = times(12, (index) => app.client().login(people[index]!.email, PASSWORD));
    await untilWaiting();
    await expectOthersServed();
    await expectAnswered(crowd);
  });

  it('a global logout succeeds although one user is locked, and other users log in again at once', async () => {
    await lockUsers([ALICE.id]);
    const crowd = times(CROWD, () => app.client().login(ALICE.email, PASSWORD));
    await untilWaiting();
    const end = admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } });
    expect([200, 202]).toContain((await end).status);
    admin = await loggedIn(app, ADMIN);
    await expectOthersServed();
    await expectAnswered(crowd);
  });

  it('reports that take every connection of the pool do not delay the end of a session', async () => {
    const reports = times(Number(size), async () => app.query('select pg_sleep(9)').catch(() => []) as never);
    await eventually(async () => {
      const { rows } = await watch.query(`select from pg_stat_activity where wait_event = 'PgSleep'`);
      expect(rows).toHaveLength(Number(size));
    });
    expect((await admin.delete(`/v1/admin/sessions/${bob.id}`)).status).toBe(200);
    expect((await admin.delete(`/v1/admin/users/${BOB.id}/sessions`)).status).toBe(200);
    expect((await admin.post(`/v1/admin/users/${BOB.id}/ban`, { reason: 'a test' })).status).toBe(200);
    const { accessToken } = alice;
    expect((await alice.post('/v1/auth/logout', { refreshToken: alice.refreshToken })).status).toBe(204);
    expect(
      (await app.client().get('/v1/auth/whoami', { headers: { authorization: `Bearer ${accessToken}` } }))
        .status,
    ).toBe(401);
    const { rows } = await watch.query(`select from pg_stat_activity where wait_event = 'PgSleep'`);
    expect(rows).toHaveLength(Number(size));
    await watch.query(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'`);
    await Promise.all(reports);
    expect((await admin.delete(`/v1/admin/users/${BOB.id}/ban`)).status).toBe(200);
  });
});
