import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { random } from '#core';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../../test/support/app.js';
import type { Client } from '../../../test/support/client.js';
import { createUser, loggedIn, type Person } from '../../../test/support/test-users.js';
import { connect, disconnect, untilBlocked } from '../../../test/support/waiting.js';

/** Real: PostgreSQL, the application over HTTP. Controlled: the locks. */

const ENDED = { status: 401, body: { code: 'auth.session_ended' } };

afterEach(disconnect);

describe('a payment', () => {
  let a: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    a = await startApp();
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    alice = await loggedIn(a, ALICE);
  });

  const order = { amount: 1_250, currency: 'EUR', recipient: 'Bob' };
  const send = (client: Client, key: string | undefined, body: object = order) =>
    client.post('/v1/payments', body, { headers: key === undefined ? {} : { 'idempotency-key': key } });
  const rows = async (key: string) =>
    (await a.query('select id from payments where idempotency_key = $1', [key])).length;

  it('that is sent twice is made once, and the answer is the same', async () => {
    const first = await send(alice, 'twice');
    expect(first).toMatchObject({ status: 201, body: order });
    const again = await send(alice, 'twice');
    expect(again).toMatchObject({ status: 201, body: first.body });
    const fromAnotherSession = await send(await loggedIn(a, ALICE), 'twice');
    expect(fromAnotherSession).toMatchObject({ status: 201, body: first.body });
    expect(await rows('twice')).toBe(1);
  });

  it.each([
    ['amount', { ...order, amount: 1_251 }],
    ['currency', { ...order, currency: 'USD' }],
    ['recipient', { ...order, recipient: 'Eve' }],
  ])('with the key of another one is a conflict: %s', async (field, other) => {
    const { body } = await send(alice, `other-${field}`);
    expect(await send(alice, `other-${field}`, other)).toMatchObject({
      status: 409,
      body: { code: 'resource.conflict' },
    });
    expect((await send(alice, `other-${field}`)).body).toEqual(body);
    expect(await rows(`other-${field}`)).toBe(1);
  });

  it('is deleted with the account of its user', async () => {
    const user = await loggedIn(a, await createUser(a));
    expect((await send(user, 'deleted')).status).toBe(201);
    expect((await user.delete('/v1/users/me')).status).toBe(204);
    expect(await rows('deleted')).toBe(0);
  });

  it('has a key of its user only: payments of other users with that key are neither found nor shown', async () => {
    const bob = await loggedIn(a, BOB);
    const ofAlice = await send(alice, 'shared');
    const ofBob = await send(bob, 'shared', { ...order, amount: 1 });
    expect(ofBob).toMatchObject({ status: 201, body: { amount: 1 } });
    expect(ofBob.body.id).not.toBe(ofAlice.body.id);
    const listed = (await bob.get('/v1/payments')).body.items.map(({ id }: { id: string }) => id);
    expect(listed).toContain(ofBob.body.id);
    expect(listed).not.toContain(ofAlice.body.id);
  });

  it('that is sent twenty times at once is made once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(alice, 'at-once')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await rows('at-once')).toBe(1);
  });

  it('waits for a pending one with the same key, and is made if that one fails', async () => {
    const outside = await connect();
    await outside.query('begin');
    await outside.query(`insert into payments values ($1, $2, $3, 'under-way', 1250, 'EUR', 'Bob', now())`, [
      random.uuid(),
      ALICE.id,
      alice.id,
    ]);
    const answer = send(alice, 'under-way');
    await untilBlocked(a, 1);
    await outside.query('rollback');
    expect((await answer).status).toBe(201);
    expect(await rows('under-way')).toBe(1);
  });

  it('needs an Idempotency-Key that is valid in a header', async () => {
    for (const key of [undefined, '', ' ', 'two words', 'x'.repeat(201), 'ä']) {
      const answer = await send(alice, key);
      expect(answer).toMatchObject({
        status: 400,
        body: { code: 'request.invalid', errors: [{ path: 'Idempotency-Key' }] },
      });
    }
    expect((await send(alice, 'x'.repeat(200))).status).toBe(201);
  });

  it('has a whole, positive amount, a currency and a recipient, and no other fields', async () => {
    const wrong = [
      { amount: 0 },
      { amount: -1 },
      { amount: 0.5 },
      { amount: '100' },
      { amount: 2 ** 53 },
      { currency: 'eur' },
      { currency: 'EURO' },
      { recipient: '' },
      { recipient: 'Bob\u0000' },
      { userId: BOB.id },
    ];
    for (const change of wrong) {
      const answer = await send(alice, random.uuid(), { ...order, ...change });
      expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    }
    expect((await send(alice, random.uuid(), { ...order, amount: Number.MAX_SAFE_INTEGER })).status).toBe(
      201,
    );
  });

  it('is refused on an ended session, even if the same payment was made before', async () => {
    await send(alice, 'before-the-end');
    await alice.copy().post('/v1/auth/logout');
    expect(await send(alice, 'before-the-end')).toMatchObject(ENDED);
    expect(await send(alice, 'after-the-end')).toMatchObject(ENDED);
    expect(await rows('after-the-end')).toBe(0);
  });

  it('that passed the check waits for an end of its session that is about to commit, and is refused', async () => {
    expect((await send(alice, 'in-time')).status).toBe(201); // and the session is cached
    const outside = await connect();
    await outside.query('begin');
    await outside.query('select from sessions where id = $1 for update', [alice.id]);
    const late = send(alice, 'too-late');
    await untilBlocked(a, 1);
    await outside.query(
      `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [alice.id],
    );
    await outside.query('commit');
    expect(await late).toMatchObject({ ...ENDED, body: { reason: 'admin' } });
    expect(await rows('too-late')).toBe(0);
  });
});
