import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { random } from '../src/platform/runtime/random.js';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { loggedIn, type Person } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { connect, disconnect, Gate, untilBlocked } from './support/waiting.js';

/** Real: PostgreSQL, Redis, two instances of the application over HTTP. Controlled: the locks. */

const ENDED = { status: 401, body: { code: 'auth.session_ended' } };

/**
 * Records each payment that commits although the end of its session has committed before. The trigger is deferred,
 * so it runs last before the commit and sees all earlier commits.
 */
const WATCH_COMMITS = `
  create table late_payments (id uuid);
  create function note_late_payment() returns trigger language plpgsql as $$
  begin
    if exists (select from sessions s cross join session_epoch e
               where s.id = new.session_id and (s.status = 'ended' or s.created_at <= e.not_before))
    then insert into late_payments values (new.id); end if;
    return null;
  end $$;
  create constraint trigger watch_commits after insert on probe_payments
    deferrable initially deferred for each row execute function note_late_payment()`;
const STOP_WATCHING = 'drop function note_late_payment cascade; drop table late_payments';

afterEach(disconnect);

type Ending = (admin: Client, alice: Person) => Promise<Answer>;

const endings: [string, Ending][] = [
  ['the session', (admin, { id }) => admin.delete(`/v1/admin/sessions/${id}`)],
  ['all sessions of the user', (admin, { userId }) => admin.delete(`/v1/admin/users/${userId}/sessions`)],
  ['everyone', (admin) => admin.request('DELETE', '/v1/admin/sessions', { body: { confirm: 'everyone' } })],
  ['the account', (_, alice) => alice.copy().delete('/v1/users/me')],
];
const endOfEveryone = endings[2]![1];

describeWithRedis('the fence: a payment and the end of its session are serialisable (S4)', () => {
  let a: TestApp;
  let b: TestApp;
  let outside: pg.Client;
  let admin: Client;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp(), await startApp()];
    await a.query(WATCH_COMMITS);
  });
  afterAll(async () => {
    await a.query(STOP_WATCHING);
    await Promise.all([a.close(), b.close()]);
  });
  beforeEach(async () => {
    outside = await connect();
    admin = await loggedIn(a, ADMIN);
    const email = `alice-${random.uuid()}@example.com`;
    await a.client().post('/v1/auth/register', { email, password: PASSWORD });
    alice = (await loggedIn(a, { email })).at(b);
  });
  afterEach(async () => {
    expect(await a.query('select * from late_payments')).toEqual([]);
  });

  const paid = async () =>
    (await a.query('select from probe_payments where session_id = $1', [alice.id])).length;

  it('a payment that passed the check waits for an end that is about to commit, and is refused', async () => {
    expect((await alice.pay(random.uuid())).status).toBe(201); // and the session is cached
    await outside.query('begin');
    await outside.query('select from sessions where id = $1 for update', [alice.id]);
    const payment = alice.pay(random.uuid());
    await untilBlocked(a, 1);
    await outside.query(
      `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [alice.id],
    );
    await outside.query('commit');
    expect(await payment).toMatchObject({ ...ENDED, body: { reason: 'admin' } });
    expect(await paid()).toBe(1);
  });

  it('a payment that passed the check waits for a global logout that is about to commit, and is refused', async () => {
    expect((await alice.pay(random.uuid())).status).toBe(201);
    // The log of revocations blocks the global logout after it has taken its lock.
    await outside.query('begin');
    await outside.query('lock table revocations in exclusive mode');
    const end = endOfEveryone(admin, alice);
    await untilBlocked(a, 1);
    const payment = alice.pay(random.uuid());
    await untilBlocked(a, 2);
    await outside.query('commit');
    expect(await payment).toMatchObject({ ...ENDED, body: { reason: 'admin_everyone' } });
    expect((await end).status).toBe(200);
    expect(await paid()).toBe(1);
  });

  it.each(endings)('the end of %s waits for the commit of a payment that is under way', async (_, end) => {
    // The table blocks the payment between its fence and its insert.
    await outside.query('begin');
    await outside.query('lock table probe_payments in share mode');
    const payment = alice.pay(random.uuid());
    await untilBlocked(a, 1);
    const answered: string[] = [];
    const receipt = end(admin, alice).finally(() => answered.push('end'));
    void payment.finally(() => answered.push('payment'));
    await untilBlocked(a, 2);
    expect(answered).toEqual([]);
    expect(await a.query('select status from sessions where id = $1', [alice.id])).toEqual([
      { status: 'active' },
    ]);
    await outside.query('commit');
    expect((await payment).status).toBe(201);
    expect([200, 204]).toContain((await receipt).status);
    expect(await paid()).toBe(1);
    expect(await alice.pay(random.uuid())).toMatchObject(ENDED);
  });

  it.each(endings)('500 payments that race the end of %s: none commits after it (S4)', async (_, end) => {
    const answers: Answer[] = [];
    const first = new Gate();
    // Twenty-five payments in each of twenty tabs: as many at once as the instances have connections for.
    const race = Array.from({ length: 20 }, async (_, index) => {
      const tab = alice.copy().at([a, b][index % 2]!);
      for (let count = 0; count < 25; count++) {
        answers.push(await tab.pay(random.uuid()));
        first.open();
      }
    });
    await first.opened;
    const receipt = await end(admin, alice);
    const paidByThen = await paid();
    await Promise.all(race);
    expect([200, 204]).toContain(receipt.status);
    const made = answers.filter(({ status }) => status === 201).length;
    expect(answers.filter(({ status }) => status !== 201)).toEqual(
      Array.from({ length: 500 - made }, () => expect.objectContaining({ status: 401 })),
    );
    expect(await paid()).toBe(made);
    expect(paidByThen).toBe(made);
    expect(await alice.pay(random.uuid())).toMatchObject(ENDED);
  });
});

/** Real: the application over HTTP, PostgreSQL. */
describe('a route with an `Idempotency-Key`', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterAll(() => app.close());

  it('refuses a request without one, and a key that is not valid in a header', async () => {
    const alice = await loggedIn(app, ALICE);
    const send = (headers: Record<string, string>) =>
      alice.post('/v1/probe/payments', { amount: 1, currency: 'EUR', recipient: 'Bob' }, { headers });
    for (const key of [undefined, '', ' ', 'two words', 'x'.repeat(201), 'ä']) {
      expect(await send(key === undefined ? {} : { 'idempotency-key': key })).toMatchObject({
        status: 400,
        body: { code: 'request.invalid', errors: [{ path: 'Idempotency-Key' }] },
      });
    }
    expect((await send({ 'idempotency-key': 'x'.repeat(200) })).status).toBe(201);
  });
});
