import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ADMIN,
  ALICE,
  BOB,
  holdBackgroundWork,
  PASSWORD,
  resetStores,
  startApp,
  type TestApp,
} from './support/app.js';
import { FaultProxy } from './support/fault-proxy.js';
import { loggedIn } from './support/people.js';
import { eventually } from './support/waiting.js';

const UNAVAILABLE = { status: 503, body: { code: 'auth.unavailable' } };

/** Real: PostgreSQL, Redis where there is one. Between them and the application a network that loses answers. */
describe('a commit that took effect and whose answer was lost', () => {
  let proxy: FaultProxy;
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    app = await startApp({ env: { DATABASE_URL: proxy.url } });
    holdBackgroundWork(app);
  });
  afterAll(async () => {
    await app.close();
    await proxy.close();
  });

  it('is not paid twice by who pays again with the same key', async () => {
    const alice = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await alice.pay('once')).toMatchObject({ ...UNAVAILABLE, headers: { 'retry-after': '1' } });
    await lost;
    const retry = await alice.pay('once');
    expect(retry.status).toBe(201);
    const { body } = await alice.get('/v1/payments');
    expect(body.items).toEqual([retry.body]);
  });

  it('R2: of a refresh logs nobody out who tries again with the device token', async () => {
    const alice = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('renew session');
    expect(await alice.refresh()).toMatchObject(UNAVAILABLE);
    await lost;
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.pay('after-the-loss')).status).toBe(201);
  });

  it('of a force-logout is carried out all the same, by the relay', async () => {
    const [admin, bob] = [await loggedIn(app, ADMIN), await loggedIn(app, BOB)];
    expect((await bob.get('/v1/sessions/current')).status).toBe(200);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await admin.delete(`/v1/admin/sessions/${bob.id}`)).toMatchObject(UNAVAILABLE);
    await lost;
    await eventually(async () => {
      expect(await bob.get('/v1/feature-flags')).toMatchObject({ status: 401, body: { reason: 'admin' } });
      const [{ pending }] = (await app.query(
        'select count(*)::int as pending from revocations where applied_at is null',
      )) as [{ pending: number }];
      expect(pending).toBe(0);
    });
    const again = await admin.delete(`/v1/admin/sessions/${bob.id}`);
    expect(again).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 0 } });
  });

  it('of a login leaves a session that nobody holds, which the person sees and can end', async () => {
    const before = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await app.client().login(ALICE.email, PASSWORD, { transport: 'bearer' })).toMatchObject(
      UNAVAILABLE,
    );
    await lost;
    const others = (await before.get('/v1/sessions')).body.items.filter(
      (session: { current: boolean }) => !session.current,
    );
    expect(others.length).toBeGreaterThan(0);
    expect((await before.delete('/v1/sessions?except=current')).body.endedSessions).toBe(others.length);
  });
});

describe('an instance whose PostgreSQL hangs', () => {
  it('S3: answers 503 on session routes, goes on with the access tier, and comes back by itself', async () => {
    const proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    const app = await startApp({ env: { DATABASE_URL: proxy.url, CACHE_LEASE: '1s' } });
    const alice = await loggedIn(app, ALICE);
    proxy.stall();
    const unknownToTheCache = await alice.get('/v1/payments');
    expect(unknownToTheCache).toMatchObject(UNAVAILABLE);
    expect((await alice.get('/v1/feature-flags')).status).toBe(200);
    proxy.heal();
    await eventually(async () => expect((await alice.get('/v1/payments')).status).toBe(200));
    await app.close();
    await proxy.close();
  });
});
