import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { random } from '#core';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../../test/support/app.js';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { describeWithOwnRedis } from '../../../test/support/redis.js';
import { loggedIn, type Person } from '../../../test/support/test-users.js';

/** Real: PostgreSQL, Redis, the application over HTTP. Controlled: the network between the instance and Redis. */

const REDIS_URL = process.env['TEST_REDIS_URL'];

const pay = (person: Person, recipient: string) =>
  person.post(
    '/v1/payments',
    { amount: 1, currency: 'EUR', recipient },
    { headers: { 'idempotency-key': random.uuid() } },
  );
const recipientsOf = async (person: Person) => {
  const { status, body } = await person.get('/v1/payments/recipients');
  expect(status).toBe(200);
  return body.recipients as string[];
};
/** A payment that the cache does not learn of. */
const payUnheard = (app: TestApp, { id }: Person, userId: string, recipient: string) =>
  app.query(`insert into payments values ($1, $2, $3, $4, 1, 'EUR', $5, now())`, [
    random.uuid(),
    userId,
    id,
    random.uuid(),
    recipient,
  ]);

describe.each(REDIS_URL ? ['Redis', 'memory'] : ['memory'])('recipients, cached in %s', (kind) => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: kind === 'memory' ? { REDIS_URL: undefined } : {} });
  });
  afterAll(() => app.close());

  it('are the most frequent ones of the caller, are read from the cache, and are current after a payment', async () => {
    const [alice, bob] = [await loggedIn(app, ALICE), await loggedIn(app, BOB)];
    for (const recipient of ['Carol', 'Dan', 'Dan']) expect((await pay(alice, recipient)).status).toBe(201);
    expect(await recipientsOf(alice)).toEqual(['Dan', 'Carol']);
    expect((await pay(bob, 'Grace')).status).toBe(201);
    expect(await recipientsOf(bob)).toEqual(['Grace']);

    await payUnheard(app, alice, ALICE.id, 'Eve');
    expect(await recipientsOf(alice)).toEqual(['Dan', 'Carol']);
    expect((await pay(alice, 'Frank')).status).toBe(201);
    expect(await recipientsOf(alice)).toEqual(['Dan', 'Carol', 'Eve', 'Frank']);
  });
});

describeWithOwnRedis(REDIS_URL, 'recipients, while Redis fails', () => {
  let proxy: FaultProxy;
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    proxy = await FaultProxy.before(REDIS_URL!);
    app = await startApp({ env: { REDIS_URL: proxy.url, CACHE_BUDGET: '50ms' } });
  });
  afterEach(() => proxy.heal());
  afterAll(async () => {
    await app.close();
    await proxy.close();
  });

  it.each(['cut', 'stall'] as const)(
    'are read from PostgreSQL, and payments are made (%s)',
    async (fault) => {
      const alice = await loggedIn(app, ALICE);
      expect((await pay(alice, 'Bob')).status).toBe(201);
      expect(await recipientsOf(alice)).not.toContain(fault);
      proxy[fault]();
      expect((await pay(alice, fault)).status).toBe(201);
      expect(await recipientsOf(alice)).toContain(fault);
      for (let count = 0; count < 5; count += 1) await payUnheard(app, alice, ALICE.id, fault);
      expect((await recipientsOf(alice))[0]).toBe(fault);
      await app.query('delete from payments');
    },
  );
});
