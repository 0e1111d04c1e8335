import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { GrantsService } from '../../src/auth/oauth/grants.service.js';
import { random } from '../../src/platform/runtime/random.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { ADMIN, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer, Client } from '../../test/support/client.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { appOf, APPS_ENV, asApp } from '../../test/support/oauth.js';
import { createUser, loggedIn, type TestUser } from '../../test/support/test-users.js';
import { connect, disconnect, eventually, Gate, untilBlocked } from '../../test/support/waiting.js';

/** Real: PostgreSQL, the cache, two instances over HTTP. Controlled: the locks, the network to PostgreSQL. */

const INVALID = { status: 401, body: { code: 'auth.invalid_token' } };
const SCOPES = ['probe:read', 'probe:write'];

interface Actors {
  admin: Client;
  owner: TestUser;
  client: Client & { grantId: string };
}
type Ending = (actors: Actors) => Promise<Answer>;

const endings: [string, Ending][] = [
  ['its user', ({ owner, client }) => owner.delete(`/v1/grants/${client.grantId}`)],
  ['an admin', ({ admin, client }) => admin.delete(`/v1/admin/grants/${client.grantId}`)],
  [
    'the force-logout of its user',
    ({ admin, owner }) => admin.delete(`/v1/admin/users/${owner.userId}/sessions`),
  ],
  [
    'the ban of its user',
    ({ admin, owner }) => admin.post(`/v1/admin/users/${owner.userId}/ban`, { reason: 'x' }),
  ],
  ['the deletion of the account', ({ owner }) => owner.copy().delete('/v1/users/me')],
  [
    'a new password',
    ({ owner }) =>
      owner.post('/v1/auth/password/change', {
        currentPassword: PASSWORD,
        newPassword: 'the kettle sings at noon',
      }),
  ],
];

afterEach(disconnect);

describe('the end of a grant, on every instance (S1, S4, S7)', () => {
  let a: TestApp;
  let b: TestApp;
  let toPostgres: FaultProxy;
  let outside: pg.Client;
  let actors: Actors;

  beforeAll(async () => {
    await resetStores();
    toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    a = await startApp({ env: APPS_ENV });
    b = await startApp({ env: { ...APPS_ENV, DATABASE_URL: toPostgres.url } });
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await toPostgres.close();
  });
  beforeEach(async () => {
    outside = await connect();
    const owner = await loggedIn(a, await createUser(a));
    actors = { admin: await loggedIn(a, ADMIN), owner, client: await appOf(a, owner, SCOPES) };
  });
  afterEach(() => toPostgres.heal());

  const pay = (client: Client) => client.pay(random.uuid());

  it.each(endings)(
    'by %s: no request of the session tier that starts after `applied` is accepted',
    async (_, end) => {
      const { accessToken } = actors.client;
      const tabs = [a, b].map((app) => asApp(app, accessToken!));
      const accepted = new Gate();
      const state = { isApplied: false };
      const late: Answer[] = [];
      const race = tabs.map(async (tab) => {
        while (!state.isApplied) {
          if ((await pay(tab)).status === 201) accepted.open();
          await setImmediate();
        }
        for (let count = 0; count < 25; count++) late.push(await pay(tab));
      });
      await accepted.opened;
      const receipt = await end(actors).finally(() => (state.isApplied = true));
      expect([200, 204]).toContain(receipt.status);
      await Promise.all(race);
      expect(late).toHaveLength(50);
      for (const answer of late) expect(answer).toMatchObject(INVALID);
      // The access tier of each instance refuses the token once it has heard of the end.
      for (const tab of tabs)
        await eventually(async () => expect(await tab.get('/v1/probe/flags')).toMatchObject(INVALID));
    },
  );

  it.each(endings)(
    'by %s waits for the commit of a payment that is under way, and refuses the next one',
    async (_, end) => {
      const { client } = actors;
      await outside.query('begin');
      await outside.query('lock table probe_payments in share mode');
      const payment = pay(client);
      await untilBlocked(a, 1);
      const answered: string[] = [];
      const receipt = end(actors).finally(() => answered.push('end'));
      await untilBlocked(a, 2);
      expect(answered).toEqual([]);
      await outside.query('commit');
      expect((await payment).status).toBe(201);
      expect([200, 204]).toContain((await receipt).status);
      expect(await pay(client)).toMatchObject(INVALID);
    },
  );

  it('is committed before a payment that waits for it, which is then refused', async () => {
    const { client } = actors;
    await outside.query('begin');
    await outside.query('select from oauth_grants where id = $1 for update', [client.grantId]);
    const payment = pay(client);
    await untilBlocked(a, 1);
    await outside.query(
      `update oauth_grants set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [client.grantId],
    );
    await outside.query('commit');
    expect(await payment).toMatchObject(INVALID);
  });

  it('counts from its commit on, on the session tier of an instance that has not heard of it', async () => {
    const admin = await loggedIn(a, await createUser(a, ['user', 'admin']));
    const client = await appOf(a, admin, ['probe:admin']);
    expect(await client.get('/v1/probe/caller')).toMatchObject({ body: { kind: 'app', id: client.grantId } });
    await a.query(
      `update oauth_grants set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [client.grantId],
    );
    expect(await client.get('/v1/probe/caller')).toMatchObject(INVALID);
  });

  it('is not needed for a scope that its user has lost with a role', async () => {
    const user = await createUser(a, ['user', 'admin']);
    const client = await appOf(a, await loggedIn(a, user), ['probe:admin']);
    await a.query(`update users set roles = '{user}' where email = $1`, [user.email]);
    expect(await client.get('/v1/probe/caller')).toMatchObject({
      status: 403,
      body: { code: 'auth.insufficient_scope', scope: 'probe:admin' },
    });
  });

  it('is final: PostgreSQL refuses to make an ended grant active again', async () => {
    const { client, owner } = actors;
    await owner.delete(`/v1/grants/${client.grantId}`);
    await expect(
      a.query(`update oauth_grants set status = 'active', end_reason = null, ended_at = null where id = $1`, [
        client.grantId,
      ]),
    ).rejects.toThrow(/has ended and stays ended/);
  });

  it('that is asked for twice gives the same receipt, and one of another user is not found', async () => {
    const { client, owner } = actors;
    const [first, second] = [
      await owner.delete(`/v1/grants/${client.grantId}`),
      await owner.delete(`/v1/grants/${client.grantId}`),
    ];
    expect(second.body.seq).toBe(first.body.seq);
    const other = await loggedIn(a, await createUser(a));
    expect(await other.delete(`/v1/grants/${client.grantId}`)).toMatchObject({ status: 404 });
  });

  it('is unknown without PostgreSQL: the session tier answers 503, the access tier goes on, and both recover', async () => {
    const client = asApp(b, actors.client.accessToken!);
    toPostgres.cut();
    await eventually(async () =>
      expect(await pay(client)).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } }),
    );
    expect(await client.get('/v1/probe/flags')).toMatchObject({ status: 200 });
    toPostgres.heal();
    await eventually(async () => expect((await pay(client)).status).toBe(201));
  });

  it.each([
    ['deny', { status: 503 }],
    ['session', { status: 200 }],
    ['allow', { status: 200 }],
  ])('is looked up by a blind instance as ACCESS_WHEN_BLIND=%s says', async (mode, outcome) => {
    const c = await startApp({ env: { ...APPS_ENV, ACCESS_WHEN_BLIND: mode } });
    try {
      const feed = c.get(RevocationSubscriber);
      jest.spyOn(feed, 'isBlind').mockReturnValue(true);
      const client = asApp(c, actors.client.accessToken!);
      expect(await client.get('/v1/probe/flags')).toMatchObject(outcome);
      await a.query(
        `update oauth_grants set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
        [actors.client.grantId],
      );
      if (mode === 'session') expect(await client.get('/v1/probe/flags')).toMatchObject(INVALID);
    } finally {
      await c.close();
    }
  });

  it('reaches an instance before it admits a request with a higher X-Min-Revocation-Seq', async () => {
    const { client, owner } = actors;
    const { body } = await owner.delete(`/v1/grants/${client.grantId}`);
    const headers = { 'x-min-revocation-seq': String(body.seq) };
    const elsewhere = asApp(b, client.accessToken!);
    expect(await elsewhere.get('/v1/probe/flags', { headers })).toMatchObject(INVALID);
  });

  it('removes its record after SESSION_RETENTION, and those of the provider with it', async () => {
    const { client, owner } = actors;
    await owner.delete(`/v1/grants/${client.grantId}`);
    await a.query(
      `insert into oauth_records values ('RefreshToken', sha256('x'), $1, '{}', null, now() + interval '1 day')`,
      [client.grantId],
    );
    await a.query(
      `insert into oauth_records values ('Interaction', sha256('y'), null, '{}', null, now() - interval '1 hour')`,
    );
    await a.get(GrantsService).removeOver();
    expect(await a.query('select model from oauth_records')).toEqual([{ model: 'RefreshToken' }]);
    await a.query(`update oauth_grants set ended_at = now() - interval '400 days' where id = $1`, [
      client.grantId,
    ]);
    await a.get(GrantsService).removeOver();
    expect(await a.query('select from oauth_grants where id = $1', [client.grantId])).toEqual([]);
    expect(await a.query('select from oauth_records')).toEqual([]);
  });
});
