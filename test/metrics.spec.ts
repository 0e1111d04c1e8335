import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { Controller, Module, Post } from '@nestjs/common';
import { Metrics, Public } from '#core';
import { RevocationSubscriber } from '../src/sessions/revocation/revocation-subscriber.js';
import { RevocationDispatcher } from '../src/sessions/revocation/revocation-dispatcher.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import { SessionReader } from '../src/sessions/check/session-reader.js';
import { SessionCache } from '../src/sessions/check/session-cache.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import { SteadyClock } from './support/clock.js';
import { loggedIn } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { eventually } from './support/waiting.js';
import { PRODUCT } from '../src/product.js';

/** Real: an instance over HTTP, PostgreSQL, Redis. Simulated: the monotonic time, which decides on blindness. */

const TOKEN = 'a token that has spaces'.replaceAll(' ', '-');

describeWithRedis('GET /metrics', () => {
  const clock = new SteadyClock();
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ clock });
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => app.close());

  const read = async () => (await app.client().get('/metrics')).text;
  const valueOf = async (name: string) => {
    const line = (await read()).split('\n').find((line) => line.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  };
  const checks = (by: string) => valueOf(`${PRODUCT.metricPrefix}session_checks_total{answered_by="${by}"}`);

  it('A2: reports that the instance is blind after 5 s without news, and since when', async () => {
    const other = await startApp({ clock });
    const feed = other.get(RevocationSubscriber);
    const said = async () => {
      const { text } = await other.client().get('/metrics');
      const value = (name: string) =>
        Number(new RegExp(`^${PRODUCT.metricPrefix}revocation_feed_${name} (.*)$`, 'm').exec(text)![1]);
      return { blind: value('blind'), age: value('age_seconds') };
    };
    (feed as unknown as { stop(): void }).stop();
    await feed.catchUp();
    expect(await said()).toEqual({ blind: 0, age: 0 });
    clock.advanceSteadily(5_001);
    expect(await said()).toEqual({ blind: 1, age: 5.001 });
    await feed.catchUp();
    expect(await said()).toEqual({ blind: 0, age: 0 });
    await other.close();
  });

  it('counts denied tokens, and revocations that the cache has not acknowledged', async () => {
    const alice = await loggedIn(app, ALICE);
    const before = await valueOf(`${PRODUCT.metricPrefix}denial_list_entries`);
    const bury = jest.spyOn(app.get(SessionCache), 'writeTombstones').mockRejectedValue(new Error('away'));
    const order = { reason: 'admin', actorId: null, context: null } as const;
    const receipt = await app.get(RevocationService).endSession(alice.id, order);
    expect(await valueOf(`${PRODUCT.metricPrefix}denial_list_entries`)).toBe(before + 1);
    await app.query(`update revocations set created_at = created_at - interval '3 s' where seq = $1`, [
      receipt!.seq,
    ]);
    await app.get(RevocationDispatcher).dispatch();
    expect(await valueOf(`${PRODUCT.metricPrefix}revocations_pending`)).toBe(1);
    bury.mockRestore();
    await app.get(RevocationDispatcher).dispatch();
    await app.get(RevocationDispatcher).dispatch();
    expect(await valueOf(`${PRODUCT.metricPrefix}revocations_pending`)).toBe(0);
  });

  it('counts session checks by the store that answered', async () => {
    const alice = await loggedIn(app, ALICE);
    const check = () => alice.get('/v1/sessions/current');
    const [cache, postgres, unavailable] = [
      await checks('cache'),
      await checks('postgres'),
      await checks('unavailable'),
    ];
    await check();
    expect(await checks('postgres')).toBe(postgres + 1);
    await eventually(async () => {
      await check();
      expect(await checks('cache')).toBeGreaterThan(cache);
    });
    jest.spyOn(app.get(SessionCache), 'read').mockRejectedValue(new Error('away'));
    const pool = (app.get(SessionReader) as unknown as { pool: object }).pool;
    jest.spyOn(pool as { query(): unknown }, 'query').mockImplementation(() => {
      throw new Error('away');
    });
    expect((await check()).status).toBe(503);
    expect(await checks('unavailable')).toBe(unavailable + 1);
  });

  it('counts logins, and answers with a problem by their code', async () => {
    const client = app.client();
    const value = (name: string) => valueOf(PRODUCT.metricPrefix + name);
    const refused = 'problems_total{code="auth.invalid_credentials"}';
    expect((await client.login(ALICE.email, 'not the password')).status).toBe(401);
    const [logins, problems] = [await value('logins_total'), await value(refused)];
    expect(problems).toBeGreaterThan(0);
    expect((await client.login(ALICE.email, 'not the password')).status).toBe(401);
    expect((await client.login(ALICE.email, PASSWORD, { transport: 'bearer' })).status).toBe(200);
    expect((await client.refresh()).status).toBe(200);
    expect(await value('logins_total')).toBe(logins + 1);
    expect(await value(refused)).toBe(problems + 1);
  });

  it('times requests by the pattern of their route, and contains no personal data [OPS-06]', async () => {
    const alice = await loggedIn(app, ALICE);
    await alice.delete(`/v1/sessions/${alice.id}`);
    await alice.get('/no/such/place?token=secret');
    const text = await read();
    expect(text).toMatch(
      /http_request_duration_seconds_count\{method="DELETE",route="\/v1\/sessions\/:id",status="200"\} 1/,
    );
    expect(text).not.toContain(alice.id);
    expect(text).not.toMatch(/no\/such|secret|version/);
  });

  it('requires METRICS_TOKEN once that is set [OPS-06]', async () => {
    const guarded = await startApp({ env: { METRICS_TOKEN: TOKEN } });
    const ask = (headers: Record<string, string>) => guarded.client().get('/metrics', { headers });
    expect((await ask({ authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, TOKEN, `bearer ${TOKEN.slice(1)}`]) {
      expect((await ask({ authorization })).status).toBe(404);
    }
    await guarded.close();
  });

  it("has a feature's own counter, with the prefix of the product", async () => {
    @Controller('orders')
    class OrdersController {
      private readonly placed;

      constructor(metrics: Metrics) {
        this.placed = metrics.counter({
          name: 'orders_placed_total',
          help: 'Orders.',
          labelNames: ['channel'],
        });
      }

      @Post()
      @Public()
      place() {
        this.placed.inc({ channel: 'web' });
      }
    }
    @Module({ controllers: [OrdersController] })
    class OrdersModule {}

    const shop = await startApp({ features: [OrdersModule] });
    await shop.client().post('/v1/orders', {});
    const { text } = await shop.client().get('/metrics');
    expect(text).toContain(`${PRODUCT.metricPrefix}orders_placed_total{channel="web"} 1\n`);
    await shop.close();
  });
});
