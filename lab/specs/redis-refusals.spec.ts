import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { untilCached, untilThere } from '../../test/support/session-probes.js';
import { expectBothTiers, loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { startRedis } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: a Redis of this file's own that answers with errors; two instances over HTTP, which log in to it as a user of
 * their own.
 */

const [USER, SECRET] = ['instances', 'secret'];
// `key-load-delay` in microseconds: Redis loads its data slowly, and answers LOADING meanwhile.
const redis = await startRedis({
  args: ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'],
});

const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };

describeWithOwnRedis(redis, 'a Redis that answers with', () => {
  let operator: ReturnType<typeof createClient>;
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;
  let bystander: Person;

  const send = (...command: (string | number)[]) => operator.sendCommand(command.map(String));
  const allow = () => send('ACL', 'SETUSER', USER, 'reset', 'on', `>${SECRET}`, '~*', '&*', '+@all');

  beforeAll(async () => {
    await resetStores();
    operator = createClient({ url: redis!.url });
    operator.on('error', () => undefined);
    await operator.connect();
    await allow();
    const url = Object.assign(new URL(redis!.url), { username: USER, password: SECRET }).href;
    const env = { REDIS_URL: url, CACHE_BUDGET: '1s' };
    [a, b] = [await startApp({ env }), await startApp({ env })];
    admin = await loggedIn(a, ADMIN);
  });
  beforeEach(async () => {
    await untilThere(a, b);
    [alice, bystander] = [await loggedIn(a, ALICE), await loggedIn(b, ALICE)];
    for (const app of [a, b]) for (const person of [alice, bystander]) await untilCached(app, person);
  });
  afterEach(async () => {
    await send('CONFIG', 'SET', 'maxmemory', 0);
    await allow();
  });
  afterAll(async () => {
    operator.destroy();
    await Promise.all([a.close(), b.close()]);
    await redis!.stop();
  });

  const untilCache = (state: 'ok' | 'failing') =>
    Promise.all(
      [a, b].map((app) =>
        eventually(async () =>
          expect(await app.client().get('/health/ready')).toMatchObject({
            status: 200,
            body: { status: 'ok', cache: state },
          }),
        ),
      ),
    );
  /** Nothing fails, the revocation is pending and in force at once by the feed, and it is applied later. */
  const expectOnlyPending = async (mend: () => Promise<unknown>) => {
    for (const app of [a, b]) await expectBothTiers(bystander.at(app), { status: 200 });
    const receipt = await admin.at(a).delete(`/v1/admin/sessions/${alice.id}`);
    expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
    for (const app of [a, b])
      await eventually(async () =>
        expect(await alice.at(app).get('/v1/sessions/current')).toMatchObject(ENDED),
      );
    const late = await loggedIn(b, ALICE);
    expect((await late.refresh()).status).toBe(200);
    expect((await late.pay(`while-refused-${late.id}`)).status).toBe(201);
    await mend();
    await eventually(async () =>
      expect((await admin.at(b).get(`/v1/admin/revocations/${receipt.body.seq}`)).body).toMatchObject({
        status: 'applied',
      }),
    );
    await untilCache('ok');
    for (const app of [a, b]) {
      await expectBothTiers(alice.at(app), ENDED);
      await untilCached(app, bystander);
    }
  };

  it('OOM (noeviction) to writes: the instances report it, and requests go on', async () => {
    await send('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await send('CONFIG', 'SET', 'maxmemory', 1);
    await untilCache('failing');
    await expectOnlyPending(() => send('CONFIG', 'SET', 'maxmemory', 0));
  });

  it('NOPERM, because its rights were taken away under open connections', async () => {
    await send('ACL', 'SETUSER', USER, '-@all');
    await untilCache('failing');
    await expectOnlyPending(allow);
  });

  it('NOPERM for writes only', async () => {
    await send('ACL', 'SETUSER', USER, '-set', '-eval');
    await untilCache('failing');
    await expectOnlyPending(allow);
  });

  it('WRONGPASS, because its password was changed and its connections were closed', async () => {
    await send('ACL', 'SETUSER', USER, 'resetpass', '>another');
    await send('CLIENT', 'KILL', 'USER', USER);
    await untilCache('failing');
    await expectOnlyPending(allow);
  });

  it('LOADING, because it reads its data after a restart', async () => {
    await Promise.all(Array.from({ length: 600 }, (_, at) => send('SET', `filler:${at}`, 'x'.repeat(2_000))));
    await send('CONFIG', 'SET', 'key-load-delay', 100_000);
    const loader = operator.duplicate();
    await loader.connect();
    const loaded = loader.sendCommand(['DEBUG', 'RELOAD']).catch(() => undefined);
    await untilCache('failing');
    // Loading ends sooner when the delay ends.
    await expectOnlyPending(async () => {
      await eventually(() => send('CONFIG', 'SET', 'key-load-delay', 0));
      await loaded;
      loader.destroy();
    });
  });
});
