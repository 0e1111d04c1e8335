import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { ApiKeyRepository } from '../src/auth/api-keys/api-key.repository.js';
import { random } from '../src/platform/runtime/random.js';
import { createKey, machineOf, machineWith, type Machine } from './support/api-keys.js';
import { ADMIN, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { interruptAt } from './support/fault-hooks.js';
import { FaultProxy } from './support/fault-proxy.js';
import { describeWithRedis } from './support/redis.js';
import { createUser, loggedIn, type TestUser } from './support/test-users.js';
import { connect, disconnect, Gate, untilBlocked } from './support/waiting.js';

/** Real: PostgreSQL, Redis, two instances of the application over HTTP. Controlled: the locks, the network to Redis. */

const FLAGS = '/v1/probe/flags';
const INVALID = { status: 401, body: { code: 'auth.invalid_key' } };

interface Actors {
  admin: Client;
  owner: TestUser;
  machine: Machine;
}
type Ending = (actors: Actors) => Promise<Answer>;

const endings: [string, Ending][] = [
  ['its owner', ({ owner, machine }) => owner.delete(`/v1/api-keys/${machine.keyId}`)],
  ['an admin', ({ admin, machine }) => admin.delete(`/v1/admin/api-keys/${machine.keyId}`)],
  [
    'the ban of its owner',
    ({ admin, owner }) => admin.post(`/v1/admin/users/${owner.userId}/ban`, { reason: 'x' }),
  ],
  ['the deletion of the account', ({ owner }) => owner.copy().delete('/v1/users/me')],
  [
    'a rotation without an overlap',
    ({ owner, machine }) => owner.post(`/v1/api-keys/${machine.keyId}/rotate`, { overlapSeconds: 0 }),
  ],
];

afterEach(async () => {
  jest.restoreAllMocks();
  await disconnect();
});

describeWithRedis('the end of an API key, on every instance (S1, S4)', () => {
  let a: TestApp;
  let b: TestApp;
  let proxy: FaultProxy;
  let outside: pg.Client;
  let actors: Actors;

  beforeAll(async () => {
    await resetStores();
    proxy = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
    a = await startApp();
    b = await startApp({ env: { REDIS_URL: proxy.url } });
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await proxy.close();
  });
  beforeEach(async () => {
    outside = await connect();
    const owner = await loggedIn(a, await createUser(a));
    const machine = (await machineOf(a, owner)).at(b) as Machine;
    actors = { admin: await loggedIn(a, ADMIN), owner, machine };
  });
  afterEach(() => proxy.heal());

  it('the limit of keys holds when a key is created between the count and the insert of another', async () => {
    const { owner } = actors;
    for (let count = 1; count < 24; count++) await createKey(owner);
    let second!: Promise<Answer>;
    const create = (at: TestApp) =>
      owner
        .copy()
        .at(at)
        .post('/v1/api-keys', { name: 'x', scopes: ['probe:read'] });
    const hasMet = interruptAt(
      ApiKeyRepository,
      'countLive',
      () => {
        second = create(b);
        return Promise.race([second, untilBlocked(a, 1)]);
      },
      'after',
    );
    const first = await create(a);
    expect(hasMet()).toBe(true);
    expect([first.status, (await second).status]).toEqual([201, 409]);
  });

  it.each(endings)('by %s: no request that starts after `applied` is accepted', async (_, end) => {
    const { machine } = actors;
    const tabs = [machineWith(a, machine.apiKey!), machineWith(b, machine.apiKey!)];
    const accepted = new Gate();
    const state = { isApplied: false };
    const late: Answer[] = [];
    const race = tabs.map(async (tab) => {
      while (!state.isApplied) {
        if ((await tab.get(FLAGS)).status === 200) accepted.open();
        await setImmediate(); // a refusal takes no I/O, and would starve the other instance
      }
      for (let count = 0; count < 25; count++) late.push(await tab.get(FLAGS));
    });
    await accepted.opened;
    const receipt = await end(actors).finally(() => (state.isApplied = true));
    expect([200, 204]).toContain(receipt.status);
    await Promise.all(race);
    expect(late).toHaveLength(50);
    for (const answer of late) expect(answer).toMatchObject(INVALID);
  });

  it.each(endings)(
    'by %s waits for the commit of a payment that is under way, and refuses the next one',
    async (_, end) => {
      const { machine } = actors;
      await outside.query('begin');
      await outside.query('lock table probe_payments in share mode');
      const payment = machine.pay(random.uuid());
      await untilBlocked(a, 1);
      const answered: string[] = [];
      const receipt = end(actors).finally(() => answered.push('end'));
      await untilBlocked(a, 2);
      expect(answered).toEqual([]);
      await outside.query('commit');
      expect((await payment).status).toBe(201);
      expect([200, 204]).toContain((await receipt).status);
      expect(await machine.pay(random.uuid())).toMatchObject(INVALID);
    },
  );

  it('is committed before a payment that waits for it, which is then refused', async () => {
    const { machine } = actors;
    expect((await machine.pay(random.uuid())).status).toBe(201);
    await outside.query('begin');
    await outside.query('select from api_keys where id = $1 for update', [machine.keyId]);
    const payment = machine.pay(random.uuid());
    await untilBlocked(a, 1);
    await outside.query(
      `update api_keys set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [machine.keyId],
    );
    await outside.query('commit');
    expect(await payment).toMatchObject(INVALID);
  });

  it('and the rotation of a key by a session are serialisable: an ended session gets no new secret', async () => {
    const { owner, machine } = actors;
    await outside.query('begin');
    await outside.query('select from sessions where id = $1 for update', [owner.id]);
    const rotation = owner.post(`/v1/api-keys/${machine.keyId}/rotate`, { overlapSeconds: 0 });
    await untilBlocked(a, 1);
    await outside.query(
      `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [owner.id],
    );
    await outside.query('commit');
    expect(await rotation).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
    expect((await machine.get(FLAGS)).status).toBe(200);
  });

  it('is `pending` while Redis does not answer, and no instance accepts the key from the bound on', async () => {
    const { machine, owner } = actors;
    expect((await machine.get(FLAGS)).status).toBe(200);
    proxy.stall();
    // The instance that cannot reach Redis makes the revocation.
    const { status, body } = await owner.at(b).delete(`/v1/api-keys/${machine.keyId}`);
    expect({ status, body }).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(Date.parse(body.sessionTierBy)).toBeLessThanOrEqual(Date.now() + 30_000);
    // Both know of the end by the feed, long before the bound.
    expect(await machine.get(FLAGS)).toMatchObject(INVALID);
  });

  it('is seen by a reader that was overtaken: it cannot fill the cache with the live key', async () => {
    const { machine, owner } = actors;
    const tab = machineWith(a, machine.apiKey!);
    await outside.query('begin');
    await outside.query('lock table api_keys in access exclusive mode');
    const overtaken = tab.get(FLAGS); // holds the lease and waits for Postgres
    await untilBlocked(a, 1);
    const receipt = owner.delete(`/v1/api-keys/${machine.keyId}`);
    await untilBlocked(a, 2);
    await outside.query('commit');
    await overtaken;
    expect((await receipt).body).toMatchObject({ status: 'applied' });
    expect(await tab.get(FLAGS)).toMatchObject(INVALID);
    expect(await machineWith(b, machine.apiKey!).get(FLAGS)).toMatchObject(INVALID);
  });

  it('while Redis is down is seen at once, because every check asks PostgreSQL', async () => {
    const { machine, owner } = actors;
    proxy.cut();
    expect((await machine.get(FLAGS)).status).toBe(200);
    await owner.delete(`/v1/api-keys/${machine.keyId}`);
    expect(await machine.get(FLAGS)).toMatchObject(INVALID);
  });

  it('takes the ends of one user’s sessions with it: a ban is one revocation, whose receipt covers the keys', async () => {
    const { machine, owner, admin } = actors;
    const { body } = await admin.post(`/v1/admin/users/${owner.userId}/ban`, { reason: 'x' });
    expect(body.status).toBe('applied');
    const [revocation] = await a.query<{ subjects: string[] }>(
      'select subjects from revocations where seq = $1',
      [body.seq],
    );
    expect(revocation!.subjects).toEqual([owner.userId, machine.keyId]);
  });
});
