import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { AccessTokens } from '../../src/auth/tokens/access-tokens.js';
import { random } from '../../src/platform/runtime/random.js';
import { SessionReader } from '../../src/sessions/check/session-reader.js';
import { ADMIN, ALICE, BOB, resetStores, startApp, type TestApp } from '../../test/support/app.js';
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
import {
  startRedisCluster,
  startRedisProcess,
  type ClusterNode,
  type RedisCluster,
} from '../../test/support/redis-cluster.mjs';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, a Redis Cluster of three masters with a replica each, two instances over HTTP. Controlled: when
 * an instance reads the slot table.
 */

const cluster = await startRedisCluster({ masters: 3, replicas: 1 });

describeWithOwnRedis(cluster, 'a Redis Cluster', () => {
  const { url, nodes, ownerOf, stop } = cluster ?? ({} as RedisCluster);
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  /** The users of a test are copies of these logins. */
  let alice: Person;
  let bob: Person;

  const env = (REDIS_URL = url) => ({ REDIS_URL, CACHE_BUDGET: '1s', SESSION_LIMIT: '1000' });

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp({ env: env() }), await startApp({ env: env() })];
    admin = await loggedIn(a, ADMIN);
    bob = await loggedIn(a, BOB);
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await stop();
  });
  beforeEach(async () => {
    await untilThere(a, b);
    alice = await loggedIn(a, ALICE);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all(nodes.map((node) => node.resume()));
  });

  const masterOf = (session: { id: string }) => ownerOf(redisKeyOf(session));
  const held = async (person: Person) =>
    (await masterOf(person)).command<string | null>('GET', redisKeyOf(person));
  const mastersNow = async () => {
    const roles = await Promise.all(nodes.map(({ command }) => command<string[]>('ROLE')));
    return nodes.filter((_, index) => roles[index]![0] === 'master');
  };

  /** One more session of the same user, whose key is on this master. */
  const sessionOn = async (master: ClusterNode, of = alice): Promise<Person> => {
    const now = a.clock.now();
    let id: string;
    do id = random.uuidAt(now);
    while ((await masterOf({ id })) !== master);
    await a.query(
      `insert into sessions select (jsonb_populate_record(s, jsonb_build_object('id', $2::uuid, 'created_at', $3::timestamptz))).*
       from sessions s where s.id = $1`,
      [of.id, id, new Date(now)],
    );
    const snapshot = (await a.get(SessionReader).read(id))!;
    const client = Object.assign(a.client(), { id, userId: of.userId });
    client.accessToken = a.get(AccessTokens).mint(snapshot, now).token;
    return client;
  };
  /** The same, cached and accepted by both instances. */
  const cachedOn = async (master: ClusterNode, of = alice): Promise<Person> => {
    const person = await sessionOn(master, of);
    for (const app of [a, b]) await untilCached(app, person);
    return person;
  };
  const oneOfEachMaster = async () => Promise.all((await mastersNow()).map((master) => sessionOn(master)));
  const oneOfEachCached = async () => {
    const people = await oneOfEachMaster();
    for (const person of people) for (const app of [a, b]) await untilCached(app, person);
    return people;
  };

  const revoke = (app: TestApp, { id }: Person) => admin.at(app).delete(`/v1/admin/sessions/${id}`);
  const APPLIED = { status: 200, body: { status: 'applied' } };
  const PENDING = { status: 202, body: { status: 'pending' } };
  const untilApplied = (seq: number) =>
    eventually(async () =>
      expect((await admin.at(b).get(`/v1/admin/revocations/${seq}`)).body.status).toBe('applied'),
    );
  const outcomes = (app: TestApp, ...people: Person[]) =>
    Promise.all(people.map(async (person) => (await judged(app, person)).split(',')[0]));
  const expectEnded = async (person: Person) => {
    for (const app of [a, b]) expect(await judged(app, person)).toMatch(/^admin, /);
  };

  it('a force-logout is seen by the next check of every instance, on any master', async () => {
    for (const person of await oneOfEachCached()) {
      expect(await revoke(a, person)).toMatchObject(APPLIED);
      for (const app of [a, b]) expect(await judged(app, person)).toBe('admin, says the cache');
      const answer = await person.at(b).get('/v1/sessions/current');
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.session_ended', reason: 'admin' } });
    }
  });

  it('all sessions of a user end at once, on all masters', async () => {
    const people = await oneOfEachCached();
    expect(await admin.at(a).delete(`/v1/admin/users/${ALICE.id}/sessions`)).toMatchObject(APPLIED);
    for (const person of people) expect(await judged(b, person)).toBe('admin, says the cache');
  });

  it('removed roles are gone on the next request, on all masters', async () => {
    const people = await oneOfEachMaster();
    const setRoles = (roles: string[]) => admin.at(a).put(`/v1/admin/users/${ALICE.id}/roles`, { roles });
    expect((await setRoles(['user', 'admin'])).status).toBe(200);
    for (const person of people) expect((await person.at(b).get('/v1/admin/users')).status).toBe(200);
    for (const person of people) await untilCached(b, person);
    expect((await setRoles(['user'])).status).toBe(200);
    for (const person of people) expect((await person.at(b).get('/v1/admin/users')).status).toBe(403);
  });

  it('checks of one tick are answered by all masters at once', async () => {
    const people = await oneOfEachCached();
    const answers = await Promise.all(people.map((person) => judged(b, person)));
    expect(answers).toEqual(people.map(() => 'live, says the cache'));
  });

  describe('a slot that moves to another master', () => {
    const slotOf = (person: Person) => nodes[0]!.command<number>('CLUSTER', 'KEYSLOT', redisKeyOf(person));
    const twoMasters = async () => (await mastersNow()) as [ClusterNode, ClusterNode];

    /** All steps but the last: the source still owns the slot, and the target has the key. */
    const carry = async (person: Person, source: ClusterNode, target: ClusterNode) => {
      const slot = await slotOf(person);
      await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.id);
      await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target.id);
      const { hostname, port } = new URL(target.url);
      await source.command('MIGRATE', hostname, port, redisKeyOf(person), 0, 5_000);
    };
    const settle = async (person: Person, target: ClusterNode) => {
      const slot = await slotOf(person);
      const others = (await mastersNow()).filter((master) => master !== target);
      for (const node of [target, ...others])
        await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', target.id);
      await eventually(async () => {
        for (const { command } of nodes) {
          const ranges = await command<[number, number, [string, number]][]>('CLUSTER', 'SLOTS');
          const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to)!;
          expect(`${port}`).toBe(new URL(target.url).port);
        }
      });
    };
    const move = async (person: Person, source: ClusterNode, target: ClusterNode) => {
      await carry(person, source, target);
      await settle(person, target);
    };

    it('an instance that has not noticed it uses no moved key', async () => {
      const [source, target] = await twoMasters();
      const person = await cachedOn(source);
      keepFromLooking(a);
      await move(person, source, target);
      expect(await held(person)).toMatch(LIVE_ENTRY);
      // The answer triggers the next read of the slot table, unless the last one was very recent.
      await eventually(async () => {
        expect(await judged(a, person)).toBe('live, says PostgreSQL');
        expect(serversOf(a).refresh).toHaveBeenCalledWith(expect.anything());
      });
      await serversOf(b).refresh();
      expect(await revoke(b, person)).toMatchObject(APPLIED);
      await expectEnded(person);

      jest.restoreAllMocks();
      await eventually(async () => expect(await judged(a, person)).toBe('admin, says the cache'));
    });

    it('there and back, with a revocation in between, is safe for an instance that has not noticed it', async () => {
      const [source, target] = await twoMasters();
      const person = await cachedOn(source);
      keepFromLooking(a);
      await move(person, source, target);
      await serversOf(b).refresh();
      expect(await revoke(b, person)).toMatchObject(APPLIED);
      await move(person, target, source);
      expect(await judged(a, person)).toBe('admin, says the cache');
    });

    it('half-way is bypassed: PostgreSQL answers for its keys, a revocation is pending, and other slots work', async () => {
      const [source, target] = await twoMasters();
      const [person, other] = [await cachedOn(source), await cachedOn(source)];
      await carry(person, source, target);
      for (let round = 0; round < 4; round++) {
        for (const app of [a, b]) {
          expect(await outcomes(app, person, other)).toEqual(['live', 'live']);
          expect(await judged(app, person)).toBe('live, says PostgreSQL');
          expect(await judged(app, other)).toBe('live, says the cache');
        }
      }
      const receipt = await revoke(a, person);
      expect(receipt).toMatchObject(PENDING);
      for (const app of [a, b]) expect(await judged(app, person)).toBe('admin, says PostgreSQL');
      await settle(person, target);
      await untilApplied(receipt.body.seq);
      for (const app of [a, b]) {
        await eventually(async () => expect(await judged(app, person)).toBe('admin, says the cache'));
      }
    });
  });

  it('a slot without a master is bypassed: PostgreSQL answers for its keys, and a revocation stays pending', async () => {
    const [master] = (await mastersNow()) as [ClusterNode];
    const person = await cachedOn(master);
    const slot = await master.command<number>('CLUSTER', 'KEYSLOT', redisKeyOf(person));
    for (const { command } of nodes) await command('CLUSTER', 'DELSLOTS', slot);
    for (const app of [a, b]) await serversOf(app).refresh();
    expect(await judged(a, person)).toBe('live, says PostgreSQL');
    const receipt = await revoke(a, person);
    expect(receipt).toMatchObject(PENDING);
    await expectEnded(person);
    await master.command('CLUSTER', 'ADDSLOTS', slot);
    await untilApplied(receipt.body.seq);
  });

  it('a master that hangs affects only its own sessions, for which PostgreSQL answers', async () => {
    const [master, another] = (await mastersNow()) as [ClusterNode, ClusterNode];
    const [person, other] = [await cachedOn(master), await cachedOn(another)];
    await master.pause();
    expect(await outcomes(a, person, other)).toEqual(['live', 'live']);
    const asked = jest.spyOn(serversOf(a).nodeFor(redisKeyOf(person))!, 'ask');
    for (let round = 0; round < 4; round++) {
      expect(await outcomes(a, person, other)).toEqual(['live', 'live']);
      expect(await judged(a, other)).toBe('live, says the cache');
    }
    expect(await judged(a, person)).toBe('live, says PostgreSQL');
    expect(asked).not.toHaveBeenCalled(); // an answer is still pending, so no second request is sent
    expect(await revoke(a, other)).toMatchObject(APPLIED);
    await master.resume();
    await untilCached(a, person);
  });

  describe('a replica that takes over', () => {
    const runIdOf = async ({ command }: ClusterNode) =>
      /run_id:\w+/.exec(await command('INFO', 'server'))?.[0];
    const replicasOf = async ({ command, id }: ClusterNode) => {
      const lines = await command<string[]>('CLUSTER', 'REPLICAS', id);
      return nodes.filter((node) => lines.some((line) => line.startsWith(node.id)));
    };
    const replicaOf = async (master: ClusterNode) => (await replicasOf(master))[0]!;
    /** Waits until the one is master, has the other as its replica, and the replica has all its data. */
    const failOver = async (master: ClusterNode, replica: ClusterNode) => {
      const isMaster = async () => expect((await replica.command<string[]>('ROLE'))[0]).toBe('master');
      // A busy cluster lets a request time out now and then.
      await eventually(async () => {
        await replica.command('CLUSTER', 'FAILOVER').catch(() => undefined);
        await eventually(isMaster, 10_000);
      });
      await eventually(async () => {
        expect(await replicasOf(replica)).toEqual([master]);
        expect(await master.command('INFO', 'replication')).toContain('master_link_status:up');
      });
    };
    const replicated = (replica: ClusterNode, person: Person) =>
      eventually(async () => expect(await replica.command('GET', redisKeyOf(person))).toMatch(LIVE_ENTRY));

    it('and hands back, both by command: revocations in between are in force, and entries of the first epoch are not used', async () => {
      const [master] = (await mastersNow()) as [ClusterNode];
      const replica = await replicaOf(master);
      const [lost, ended] = [await cachedOn(master, bob), await cachedOn(master)];
      for (const person of [lost, ended]) await replicated(replica, person);
      const runId = await runIdOf(master);
      await endUnheard(a, lost);
      keepFromLooking(a);
      await failOver(master, replica);
      await eventually(async () => expect(await revoke(b, ended)).toMatchObject(APPLIED));
      await failOver(replica, master);
      expect(await runIdOf(master)).toBe(runId);
      expect(await master.command('GET', redisKeyOf(lost))).toMatch(LIVE_ENTRY);
      for (const person of [lost, ended]) await expectEnded(person);
    });

    it('for a killed one: PostgreSQL answers meanwhile, and the replicated entries are not used', async () => {
      const [master, another] = (await mastersNow()) as [ClusterNode, ClusterNode];
      const replica = await replicaOf(master);
      const [lost, ended] = [await cachedOn(master, bob), await cachedOn(master)];
      const other = await cachedOn(another);
      for (const person of [lost, ended]) await replicated(replica, person);
      await endUnheard(a, lost);

      await master.kill();
      expect(await judged(a, ended)).toBe('live, says PostgreSQL');
      expect(await judged(a, other)).toBe('live, says the cache');
      const receipt = await revoke(a, ended);
      expect(receipt).toMatchObject(PENDING);
      await expectEnded(ended);
      expect(await revoke(a, other)).toMatchObject(APPLIED);

      await untilThere(a, b);
      expect(await masterOf(lost)).toBe(replica);
      expect(await replica.command('GET', redisKeyOf(lost))).toMatch(LIVE_ENTRY);
      await expectEnded(lost);
      await untilApplied(receipt.body.seq);
      for (const app of [a, b]) expect(await judged(app, ended)).toBe('admin, says the cache');
      await master.restart();
    });
  });

  describe('REDIS_URL', () => {
    const dead = 'redis://127.0.0.1:1';

    it.each([
      ['one node', () => nodes[4]!.url],
      ['nodes of which one is down', () => `${dead},${nodes[5]!.url}`],
    ])('may name %s, and the others are discovered', async (_, named) => {
      const c = await startApp({ env: env(named()) });
      try {
        await untilThere(c);
        for (const person of await oneOfEachCached()) await untilCached(c, person);
      } finally {
        await c.close();
      }
    });

    it('names servers that are no cluster: one log line reports it, and PostgreSQL answers', async () => {
      const alone = (await startRedisProcess())!;
      const lines: string[] = [];
      const logger = pino({ level: 'error' }, { write: (line) => void lines.push(line) });
      const c = await startApp({ env: env(`${alone.url},${dead}`), logger });
      try {
        expect(await judged(c, alice)).toBe('live, says PostgreSQL');
        await eventually(() =>
          expect(lines).toEqual([expect.stringContaining('REDIS_URL names several servers')]),
        );
      } finally {
        await c.close();
        await alone.stop();
      }
    });
  });
});
