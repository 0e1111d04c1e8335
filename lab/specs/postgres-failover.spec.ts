import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { ADVISORY_LOCKS } from '../../src/platform/persistence/advisory-locks.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { UserRepository } from '../../src/users/user.repository.js';
import { ADMIN, ALICE, BOB, startApp, type TestApp } from '../../test/support/app.js';
import { machineOf, type Machine } from '../../test/support/api-keys.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { migrateDatabase } from '../../test/support/migrate.mjs';
import { canCopyPostgres, startPostgres, type Server } from '../../test/support/services.mjs';
import {
  createUser,
  expectBothTiers,
  loggedIn,
  sessionTier,
  type Person,
  type TestUser,
} from '../../test/support/test-users.js';
import { connect, disconnect, eventually } from '../../test/support/waiting.js';
import { read } from '../../test/support/forge.js';

/**
 * Real: a primary PostgreSQL and its streaming standby, which replaces it behind one address; instances over HTTP, with
 * Redis where there is one. The primary dies by SIGKILL.
 */

const ACCESS = '/v1/probe/flags';
const ended = (reason: string) => ({ status: 401, body: { code: 'auth.session_ended', reason } });
const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const describeWithStandby = canCopyPostgres() ? describe : describe.skip;
const hasRedis = Boolean(process.env['TEST_REDIS_URL']);

let primary: Server;
let standby: Server;
let address: FaultProxy;
let a: TestApp;
let b: TestApp;
const logged: string[] = [];

const start = () =>
  startApp({
    env: { DATABASE_URL: address.url },
    logger: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
  });
const ask = async <Row extends pg.QueryResultRow>(server: Server, sql: string, values: unknown[] = []) => {
  const client = await connect(server.url);
  const { rows } = await client.query<Row>(sql, values);
  await disconnect();
  return rows;
};
const readiness = (app: TestApp) => app.client().get('/health/ready');
const untilReady = () =>
  Promise.all([a, b].map((app) => eventually(async () => expect((await readiness(app)).status).toBe(200))));
const endFeed = (app: TestApp) =>
  (app.get(RevocationSubscriber) as unknown as { client: pg.Client | null }).client?.end();
const promote = () => ask(standby, 'select pg_promote()');

/** A primary with a standby that has all of it, and two instances. */
async function startPair({ synchronous }: { synchronous: boolean }): Promise<void> {
  primary = await startPostgres();
  await migrateDatabase(primary.url);
  standby = await startPostgres({ standbyOf: primary.url });
  if (synchronous) {
    await ask(primary, `alter system set synchronous_standby_names = '*'`);
    await ask(primary, 'select pg_reload_conf()');
  }
  address = await FaultProxy.before(primary.url);
  a = await start();
  b = hasRedis ? await start() : a; // an in-process cache is for one instance
}
async function stopPair(): Promise<void> {
  await Promise.all([...new Set([a, b])].map((app) => app.close()));
  await address.close();
  await Promise.all([primary.kill(), standby.kill()]);
}

describeWithStandby('a primary whose standby has every commit', () => {
  let admin: Person;
  let alice: Person;
  let bob: Person;
  let victim: Person;
  const attempts: { key: string; status: number }[] = [];

  beforeAll(async () => {
    await startPair({ synchronous: true });
    [admin, alice, bob, victim] = [
      await loggedIn(a, ADMIN),
      await loggedIn(a, ALICE),
      await loggedIn(b, BOB),
      await loggedIn(a, ALICE),
    ];
    expect(await admin.delete(`/v1/admin/sessions/${victim.id}`)).toMatchObject({
      status: 200,
      body: { status: 'applied' },
    });
  }, 120_000);
  afterAll(stopPair);

  /** Bob pays at both instances, one payment after the other, until the work is done. */
  async function whilePaying(name: string, work: () => Promise<unknown>): Promise<void> {
    const load = { goesOn: true };
    const payers = [a, b].map(async (app, at) => {
      const payer = Object.assign(app.client(), { accessToken: bob.accessToken });
      for (let count = 0; load.goesOn; count++) {
        const key = `${name}-${at}-${count}`;
        attempts.push({ key, status: (await payer.pay(key)).status });
      }
    });
    try {
      await work();
    } finally {
      load.goesOn = false;
      await Promise.all(payers);
    }
  }
  /** Each accepted payment is there once. The others can be repeated with their key, and are then there once as well. */
  async function expectNothingLost(server: Server): Promise<void> {
    const statuses = attempts.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([201, 503]));
    const stored = async () =>
      (await ask<{ key: string }>(server, 'select idempotency_key as key from probe_payments')).map(
        ({ key }) => key,
      );
    const accepted = attempts.filter(({ status }) => status === 201).map(({ key }) => key);
    const before = await stored();
    expect(accepted.filter((key) => !before.includes(key))).toEqual([]);
    for (const { key, status } of attempts.slice(-50))
      if (status === 503) expect((await bob.pay(key)).status).toBe(201);
    const after = await stored();
    expect(after.length).toBe(new Set(after).size);
  }

  it('that is restarted under load costs only 503, and no accepted payment', async () => {
    await whilePaying('restart', async () => {
      await eventually(() => expect(attempts.some(({ status }) => status === 201)).toBe(true));
      await primary.restart();
      await eventually(() => expect(attempts.some(({ status }) => status === 503)).toBe(true));
      await untilReady();
    });
    await expectNothingLost(primary);
    await expectBothTiers(alice, { status: 200 });
  }, 180_000);

  it('and dies under load is replaced by the promoted standby, without a restart of an instance', async () => {
    attempts.length = 0;
    await whilePaying('failover', async () => {
      await eventually(() => expect(attempts.some(({ status }) => status === 201)).toBe(true));
      await primary.kill();
      address.retarget(standby.url);
      // A standby answers, but takes no writes.
      await eventually(async () =>
        expect(await readiness(a)).toMatchObject({ status: 503, body: { postgres: 'failing' } }),
      );
      expect((await alice.copy().refresh()).status).toBe(503);
      await promote();
      await untilReady();
      const done = attempts.length;
      await eventually(() =>
        expect(attempts.slice(done).filter(({ status }) => status === 201).length).toBeGreaterThan(5),
      );
    });
    await expectNothingLost(standby);
    for (const client of [alice, bob]) {
      await expectBothTiers(client, { status: 200 });
      expect((await client.refresh()).status).toBe(200);
    }
  }, 180_000);

  it('leaves a revocation of before the failover in force, also on an instance that starts afterwards', async () => {
    for (const app of [a, b]) await expectBothTiers(victim.at(app), ended('admin'));
    if (!hasRedis) return;
    const late = await start();
    try {
      await expectBothTiers(victim.at(late), ended('admin'));
      expect(await sessionTier(late, victim, 'strict')).toBe('admin');
    } finally {
      await late.close();
    }
  }, 120_000);

  it('leaves instances that listen to the new primary: they hear a revocation without a poll', async () => {
    await eventually(async () => expect((await alice.at(b).get(ACCESS)).status).toBe(200));
    const { stop } = b.get(RevocationSubscriber) as unknown as { stop(): void };
    stop();
    expect(await admin.at(a).delete(`/v1/admin/sessions/${alice.id}`)).toMatchObject({ status: 200 });
    await eventually(async () => expect(await alice.at(b).get(ACCESS)).toMatchObject(ended('admin')));
  }, 120_000);
});

describeWithStandby('a promoted standby that lacks the last commits of its primary', () => {
  let alice: Person;
  let other: Person;
  let denied: Person;
  let bob: TestUser;
  let machine: Machine;
  let firstLost: number;
  let highest: number;

  const seqOf = (receipt: { seq: number; status: string } | null) => {
    expect(receipt).toMatchObject({ status: 'applied' });
    return receipt!.seq;
  };
  const stopReplication = async () => {
    const [at] = await ask<{ lsn: string }>(primary, 'select pg_current_wal_lsn()::text as lsn');
    await eventually(async () => {
      const has = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as has';
      expect(await ask(standby, has, [at!.lsn])).toEqual([{ has: true }]);
    });
    await ask(standby, `alter system set primary_conninfo = ''`);
    await ask(standby, 'select pg_reload_conf()');
    await eventually(async () =>
      expect(await ask(standby, 'select from pg_stat_wal_receiver')).toHaveLength(0),
    );
  };

  beforeAll(async () => {
    await startPair({ synchronous: false });
    const users = [await createUser(a), await createUser(a), await createUser(a)];
    alice = await loggedIn(a, users[0]!);
    other = await loggedIn(a, users[0]!);
    denied = await loggedIn(a, users[1]!);
    bob = await loggedIn(a, users[2]!);
    machine = await machineOf(a, denied);
    await stopReplication();

    await ask(
      primary,
      `select count(nextval(pg_get_serial_sequence('revocations', 'seq'))) from generate_series(1, 100)`,
    );
    const revocations = a.get(RevocationService);
    const jti = read(denied.accessToken!).claims['jti'] as string;
    firstLost = seqOf((await denied.delete(`/v1/api-keys/${machine.keyId}`)).body);
    seqOf(await revocations.denyToken(jti, CAUSE));
    seqOf(await revocations.endSession(alice.id, CAUSE));
    highest = seqOf(await revocations.endUser(bob.userId, CAUSE));
    for (const app of [a, b])
      await eventually(async () => expect(await bob.at(app).get(ACCESS)).toMatchObject(ended('admin')));
    await primary.kill();
    await promote();
    // Both instances want to record them at the same moment.
    const holder = new pg.Client({ connectionString: standby.url });
    await holder.connect();
    await holder.query('select pg_advisory_lock($1)', [ADVISORY_LOCKS.lostRevocations]);
    address.retarget(standby.url);
    await eventually(async () => {
      const { rowCount } = await holder.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'`,
      );
      expect(rowCount).toBe(new Set([a, b]).size);
    });
    await holder.end();
    await untilReady();
  }, 180_000);
  afterAll(stopPair);

  it('gets the revocations again from the instances that know them, with reason and time', async () => {
    await eventually(async () => {
      const rows = await ask(
        standby,
        `select id, status, end_reason from sessions where id = any($1) order by id`,
        [[alice.id, bob.id, other.id]],
      );
      expect(rows).toEqual(
        [
          { id: alice.id, status: 'ended', end_reason: 'admin' },
          { id: bob.id, status: 'ended', end_reason: 'admin' },
          { id: other.id, status: 'active', end_reason: null },
        ].sort((one, two) => (one.id < two.id ? -1 : 1)),
      );
    });
    expect(logged.join('')).toMatch(/PostgreSQL has lost commits that it had acknowledged/);
    const audited = await ask(
      standby,
      `select type from audit_events where details ? 'lostRevocation' and session_id = $1`,
      [alice.id],
    );
    expect(audited).toEqual([{ type: 'session_ended' }]);
  }, 120_000);

  it('has each of them once, although two instances know them', async () => {
    for (const app of new Set([a, b])) {
      const subscriber = app.get(RevocationSubscriber);
      const { connectionCount } = subscriber;
      await endFeed(app);
      await eventually(() => expect(subscriber.connectionCount).toBeGreaterThan(connectionCount));
      await subscriber.catchUp();
    }
    const counts = await ask(
      standby,
      `select kind, count(*)::int from revocations where seq > $1 group by kind, subjects order by kind`,
      [firstLost - 1],
    );
    expect(counts).toEqual([
      { kind: 'session', count: 1 },
      { kind: 'session', count: 1 },
      { kind: 'token', count: 1 },
      { kind: 'user', count: 1 },
    ]);
  }, 120_000);

  it('is no way back for an ended session, key or token on an instance that starts afterwards', async () => {
    const late = hasRedis ? await start() : a;
    try {
      for (const person of [alice, bob]) {
        expect(await sessionTier(late, person, 'strict')).toBe('admin');
        await expectBothTiers(person.at(late), ended('admin'));
      }
      await expectBothTiers(denied.at(late), { status: 401 });
      expect((await machine.at(late).get(ACCESS)).status).toBe(401);
      await expectBothTiers(other.at(late), { status: 200 });
    } finally {
      if (late !== a) await late.close();
    }
  }, 120_000);

  it('assigns no number of a lost revocation again', async () => {
    const receipt = await a.get(RevocationService).endSession(other.id, CAUSE);
    expect(receipt!.seq).toBeGreaterThan(highest);
  });

  it('ends no session that began after the revocation that is recorded again', async () => {
    const again = await loggedIn(a, bob);
    const ofBob = `from revocations where kind = 'user' and subjects[1] = $1`;
    await ask(standby, `delete ${ofBob}`, [bob.userId]);
    // The first attempt fails, and the next poll repeats it.
    jest.spyOn(a.get(UserRepository), 'lock').mockRejectedValueOnce(new Error('not now'));
    await endFeed(a);
    await eventually(async () => expect(await ask(standby, `select ${ofBob}`, [bob.userId])).toHaveLength(1));
    expect(logged.join('')).toMatch(/could not be compared with PostgreSQL yet/);
    await expectBothTiers(again.at(a), { status: 200 });
  }, 120_000);

  it('gets the end of all sessions again', async () => {
    const { seq } = await a.get(RevocationService).endEveryone({ ...CAUSE, reason: 'admin_everyone' });
    const epoch = 'select not_before from session_epoch';
    const before = await ask(standby, epoch);
    await ask(standby, 'delete from revocations where seq = $1', [seq]);
    await ask(standby, `update session_epoch set not_before = '-infinity'`);
    await endFeed(a);
    await eventually(async () => expect(await ask(standby, epoch)).toEqual(before));
  }, 120_000);
});
