import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import {
  endUnheard,
  judged,
  keepFromLooking,
  redisKeyOf,
  serversOf,
  untilCached,
  untilThere,
} from '../../test/support/session-probes.js';
import { loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithOwnRedis, LIVE_ENTRY } from '../../test/support/redis.js';
import { startRedisProcess, type RedisProcess } from '../../test/support/redis-cluster.mjs';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, two Redis servers of which one follows the other, two instances over HTTP that know both by one
 * address, as with Sentinel, a virtual address or a managed Redis. Controlled: when an instance looks at its server.
 */

const start = () => startRedisProcess(['--repl-diskless-sync-delay', '0']) as Promise<RedisProcess>;
let first = await start();

describeWithOwnRedis(first, 'a Redis that is replaced by another one', () => {
  let second: RedisProcess;
  let address: FaultProxy;
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    address = await FaultProxy.before(first.url);
    const env = { REDIS_URL: address.url, CACHE_BUDGET: '1s' };
    [a, b] = [await startApp({ env }), await startApp({ env })];
    admin = await loggedIn(a, ADMIN);
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await address.close();
    await Promise.all([first.stop(), second.stop()]);
  });
  beforeEach(async () => {
    second = await start();
    await follow(second, first);
    await untilThere(a, b);
    // Its first replica has given it another replication id.
    for (const app of [a, b]) await serverOf(app).identify();
    alice = await loggedIn(a, ALICE);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all([first.stop(), second.stop()]);
    first = await start();
    address.retarget(first.url);
    address.cut();
    address.heal();
  });

  const replicate = ({ command }: RedisProcess, master: RedisProcess) => {
    const { hostname, port } = new URL(master.url);
    return command('REPLICAOF', hostname, port);
  };
  const follow = async (replica: RedisProcess, master: RedisProcess) => {
    await replicate(replica, master);
    await eventually(async () =>
      expect(await replica.command('INFO', 'replication')).toContain('master_link_status:up'),
    );
  };
  const promote = ({ command }: RedisProcess) => command('REPLICAOF', 'NO', 'ONE');
  const runIdOf = async ({ command }: RedisProcess) =>
    /run_id:\w+/.exec(await command('INFO', 'server'))?.[0];
  const held = ({ command }: RedisProcess) => command<string | null>('GET', redisKeyOf(alice));
  /** Both instances accept Alice's cached session, and both servers have it. */
  const verdictOnBoth = async () => {
    for (const app of [a, b]) await untilCached(app, alice);
    await eventually(async () => expect(await held(second)).toMatch(LIVE_ENTRY));
  };
  const revokeAlice = (app: TestApp) => admin.at(app).delete(`/v1/admin/sessions/${alice.id}`);
  const serverOf = (app: TestApp) => serversOf(app).only!;

  it('killed with its replica promoted: the replicated sessions are not used', async () => {
    await verdictOnBoth();
    await endUnheard(a, alice);
    await first.kill();
    await promote(second);
    address.retarget(second.url);
    await untilThere(a, b);
    expect(await held(second)).toMatch(LIVE_ENTRY);
    for (const app of [a, b]) expect(await judged(app, alice)).toMatch(/^admin, /);
    // They do not prevent new entries either.
    await eventually(async () => expect(await judged(b, alice)).toBe('admin, says the cache'));
  });

  it('demoted and promoted again without a restart: no instance uses entries of its first epoch, even if it noticed nothing', async () => {
    await verdictOnBoth();
    const runId = await runIdOf(first);
    await endUnheard(a, alice);
    keepFromLooking(a);
    await promote(second);
    await follow(first, second);
    await promote(first);
    await replicate(second, first);
    await serverOf(b).identify();
    expect(await runIdOf(first)).toBe(runId);
    expect(await held(first)).toMatch(LIVE_ENTRY);
    for (const app of [a, b]) expect(await judged(app, alice)).toMatch(/^admin, /);
  });

  it('a revocation in between, by the other server, is in force when the first one is master again', async () => {
    await verdictOnBoth();
    await promote(second);
    address.retarget(second.url);
    await follow(first, second);
    for (const app of [a, b]) serverOf(app).reconnect();
    await untilThere(a, b);
    expect(await revokeAlice(a)).toMatchObject({ status: 200, body: { status: 'applied' } });
    await eventually(async () => expect(await held(first)).toMatch(/^\[0,/));
    await promote(first);
    address.retarget(first.url);
    for (const app of [a, b]) serverOf(app).reconnect();
    await untilThere(a, b);
    for (const app of [a, b]) expect(await judged(app, alice)).toMatch(/^admin, /);
  });

  it('renamed by its first replica: an instance that has not noticed asks PostgreSQL', async () => {
    const lonely = await start();
    address.retarget(lonely.url);
    for (const app of [a, b]) serverOf(app).reconnect();
    await untilThere(a, b);
    await untilCached(a, alice);
    const before = serverOf(a).identity!.seal;
    keepFromLooking(a);
    await follow(second, lonely);
    await serverOf(b).identify();
    expect(serverOf(b).identity!.seal).not.toBe(before);
    expect(await revokeAlice(b)).toMatchObject({ status: 200, body: { status: 'applied' } });
    expect(await judged(a, alice)).toBe('admin, says PostgreSQL');

    jest.restoreAllMocks();
    await eventually(async () => expect(await judged(a, alice)).toBe('admin, says the cache'));
    await lonely.stop();
  });

  describe('demoted while its connections stay open', () => {
    /** The second server is the master; the first one knows that it is not, and receives no further updates. */
    const demoteFirst = async () => {
      await verdictOnBoth();
      keepFromLooking(a);
      await promote(second);
      await first.command('REPLICAOF', '127.0.0.1', 1);
      address.retarget(second.url);
      serverOf(b).reconnect();
      await untilThere(b);
    };
    const untilApplied = (seq: number) =>
      eventually(async () =>
        expect((await admin.at(b).get(`/v1/admin/revocations/${seq}`)).body.status).toBe('applied'),
      );

    it('is not used, not even by an instance that has not noticed, and its successor is found', async () => {
      await demoteFirst();
      expect(await revokeAlice(b)).toMatchObject({ status: 200, body: { status: 'applied' } });
      expect(await judged(a, alice)).toBe('admin, says PostgreSQL');
      jest.restoreAllMocks();
      await untilThere(a);
      expect(await judged(a, alice)).toBe('admin, says the cache');
    });

    it.each([
      ['refuses', 'yes'],
      ['takes', 'no'],
    ])('acknowledges no revocation, whether it %s to write', async (_, readOnly) => {
      await first.command('CONFIG', 'SET', 'replica-read-only', readOnly);
      await demoteFirst();
      const receipt = await revokeAlice(a);
      expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
      await untilApplied(receipt.body.seq);
      expect(await judged(b, alice)).toBe('admin, says the cache');
    });
  });
});
