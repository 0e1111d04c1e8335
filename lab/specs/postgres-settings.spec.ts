import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ADVISORY_LOCKS } from '../../src/platform/persistence/advisory-locks.js';
import { BootError } from '../../src/platform/settings/boot-error.js';
import { PostgresClient, ReadOnlySession } from '../../src/platform/persistence/postgres/postgres-client.js';
import { requireSuitableServer } from '../../src/platform/persistence/postgres/server-requirements.js';
import { ADMIN, ALICE, BOB, startApp, type TestApp } from '../../test/support/app.js';
import { runToEnd } from '../../test/support/instance.js';
import { migrateDatabase } from '../../test/support/migrate.mjs';
import { loggedIn } from '../../test/support/test-users.js';
import { startPgBouncer, startPostgres, type Server } from '../../test/support/services.mjs';
import { connect, disconnect, eventually, untilBlocked } from '../../test/support/waiting.js';

/** Real: a PostgreSQL of this file's own, roles with unexpected settings, PgBouncer. */

const postgres = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-settings-'));
const as = (role: string) => Object.assign(new URL(postgres.url), { username: role }).href;
let owner: pg.Client;

beforeAll(async () => {
  await migrateDatabase(postgres.url);
  owner = new pg.Client({ connectionString: postgres.url });
  await owner.connect();
});
afterEach(disconnect);
afterAll(async () => {
  await owner.end();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a role whose settings are not those that the application relies on', () => {
  /** A superuser, so that it may set everything. */
  const role = async (name: string, settings: Record<string, string>): Promise<string> => {
    await owner.query(`create role ${name} login superuser`);
    for (const [setting, value] of Object.entries(settings)) {
      await owner.query(`alter role ${name} set ${setting} = '${value}'`);
    }
    return as(name);
  };
  let app: TestApp;
  afterEach(() => app?.close());

  it('is served as any other: dates, numbers, texts and timeouts', async () => {
    const url = await role('peculiar', {
      datestyle: 'German, DMY',
      intervalstyle: 'sql_standard',
      timezone: 'Asia/Kolkata',
      extra_float_digits: '-15',
      bytea_output: 'escape',
      standard_conforming_strings: 'off',
      client_encoding: 'LATIN1',
      array_nulls: 'off',
      transform_null_equals: 'on',
      statement_timeout: '7s',
      lock_timeout: '7s',
      idle_in_transaction_session_timeout: '7s',
      idle_session_timeout: '7s',
    });
    await expect(migrateDatabase(url)).resolves.toEqual([]);
    app = await startApp({ env: { DATABASE_URL: url, REDIS_URL: undefined } });
    const timeouts = await app.query(
      `select distinct setting from pg_settings where name like any('{%_timeout}') and setting = '7000'`,
    );
    expect(timeouts).toEqual([]);
    const before = Date.now();
    const alice = await loggedIn(app, ALICE);
    const { body } = await alice.get('/v1/sessions/current');
    expect(Date.parse(body.createdAt)).toBeGreaterThan(before - 10_000);
    expect(Date.parse(body.createdAt)).toBeLessThan(Date.now() + 10_000);
    for (const displayName of ['Zoë 🦔', String.raw`back\slash \' \x41`, 'Ωmega “quoted”']) {
      expect(await alice.patch('/v1/users/me', { displayName })).toMatchObject({
        status: 200,
        body: { displayName },
      });
      expect((await alice.get('/v1/users/me')).body.displayName).toBe(displayName);
    }
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.pay('once')).status).toBe(201);
    expect((await alice.get('/v1/devices')).status).toBe(200);
    const admin = await loggedIn(app, ADMIN);
    expect(await admin.delete(`/v1/admin/sessions/${alice.id}`)).toMatchObject({ status: 200 });
    await eventually(async () =>
      expect(await alice.get('/v1/probe/flags')).toMatchObject({ status: 401, body: { reason: 'admin' } }),
    );
    expect((await app.client().get('/health/ready')).body).toMatchObject({ status: 'ok' });
  });

  it.each(['repeatable read', 'serializable'])(
    'leaves one of two admins who demote each other, even if transactions would be %s',
    async (isolation) => {
      const url = await role(isolation.split(' ')[0]!, { default_transaction_isolation: isolation });
      app = await startApp({ env: { DATABASE_URL: url, REDIS_URL: undefined } });
      await owner.query(`update users set roles = '{user,admin}' where id = any($1)`, [[ADMIN.id, BOB.id]]);
      const [admin, bob] = [await loggedIn(app, ADMIN), await loggedIn(app, BOB)];
      const lock = await connect(postgres.url);
      await lock.query('begin');
      await lock.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCKS.privilegedRoles]);
      const demoted = [
        admin.put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user'] }),
        bob.put(`/v1/admin/users/${ADMIN.id}/roles`, { roles: ['user'] }),
      ];
      await untilBlocked(app, 2);
      await lock.query('rollback');
      const statuses = (await Promise.all(demoted)).map(({ status }) => status);
      expect(statuses.sort()).toEqual([200, 409]);
      const left = await owner.query(`select from users where 'admin' = any(roles)`);
      expect(left.rowCount).toBe(1);
    },
  );
});

describe('a database whose settings are not those that the application relies on', () => {
  const settingsOf = async (connectionString: string, names: string[]) => {
    const client = new PostgresClient({ connectionString });
    await client.connect();
    const { rows } = await client.query<{ name: string; value: string }>(
      `select name, current_setting(name) as value from unnest($1::text[]) as settings (name)`,
      [names],
    );
    await client.end();
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  };
  const WANTED = {
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    default_transaction_isolation: 'read committed',
    standard_conforming_strings: 'on',
    statement_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    synchronous_commit: 'on',
  };
  const STRANGE = {
    DateStyle: 'SQL, DMY',
    TimeZone: 'Pacific/Apia',
    default_transaction_isolation: 'serializable',
    standard_conforming_strings: 'off',
    statement_timeout: '7s',
    idle_in_transaction_session_timeout: '7s',
    synchronous_commit: 'off',
  };
  const change = async (client: pg.Client, database: string, settings: Record<string, string>) => {
    for (const [name, value] of Object.entries(settings))
      await client.query(`alter database ${database} set ${name} = '${value}'`);
  };

  it('is used with the right ones, and PostgreSQL acknowledges no commit before it is on disk', async () => {
    await owner.query('create database strange');
    await change(owner, 'strange', STRANGE);
    const url = Object.assign(new URL(postgres.url), { pathname: '/strange' }).href;
    expect(await settingsOf(url, Object.keys(WANTED))).toEqual(WANTED);
  });

  it.each(['local', 'remote_write', 'remote_apply'])(
    'keeps the choice of the operator how long a commit waits for a standby: %s',
    async (choice) => {
      await owner.query(`create database ${choice}`);
      await change(owner, choice, { synchronous_commit: choice });
      const url = Object.assign(new URL(postgres.url), { pathname: `/${choice}` }).href;
      expect(await settingsOf(url, ['synchronous_commit'])).toEqual({ synchronous_commit: choice });
    },
  );

  it('may be of a version that knows more settings: PostgreSQL 17 and later limit transactions', async () => {
    const newer = await startPostgres({ binaries: 'embedded' });
    try {
      const client = await connect(newer.url);
      await change(client, 'postgres', { transaction_timeout: '7s' });
      expect(await settingsOf(newer.url, ['transaction_timeout'])).toEqual({ transaction_timeout: '0' });
    } finally {
      await disconnect();
      await newer.stop();
    }
  });
});

it('a database that is not in UTF-8 stops the boot with that reason [OPS-01]', async () => {
  await owner.query(`create database latin encoding 'LATIN1' template template0`);
  const url = Object.assign(new URL(postgres.url), { pathname: '/latin' }).href;
  await expect(requireSuitableServer(url)).rejects.toThrow(/encoding LATIN1/);
  const { code, output } = await runToEnd({ DATABASE_URL: url, DATA_DIR: folder });
  expect(code).toBe(1);
  expect(output).toMatch(/DATABASE_URL .*encoding LATIN1.*allowed: UTF8/);
  expect(output).not.toMatch(/\n\s+at /);
});

it('a PostgreSQL that takes no writes stops the boot with that reason [OPS-01]', async () => {
  await owner.query('create role reader login superuser');
  await owner.query('alter role reader set default_transaction_read_only = on');
  const { code, output } = await runToEnd({ DATABASE_URL: as('reader'), DATA_DIR: folder });
  expect(code).toBe(1);
  expect(output).toMatch(/DATABASE_URL .*does not accept writes/);
  expect(output).not.toMatch(/\n\s+at /);
});

const END_OTHERS = `
  select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres' and pid <> pg_backend_pid()`;
const SHARED = /DATABASE_URL leads to a connection pooler.*pool_mode=session/;
const poolers: Server[] = [];
const through = async (settings: Record<string, string | number>): Promise<string> => {
  const pooler = (await startPgBouncer(postgres.url, settings))!;
  poolers.push(pooler);
  return pooler.url;
};
const isInstalled = await through({ pool_mode: 'session' }).then(
  () => true,
  () => false,
);
afterAll(() => Promise.all(poolers.map((pooler) => pooler.stop())));

(isInstalled ? describe : describe.skip)('a pooler between the application and PostgreSQL', () => {
  it.each([
    ['transactions', { pool_mode: 'transaction' }],
    ['statements', { pool_mode: 'statement' }],
    ['transactions over one connection', { pool_mode: 'transaction', default_pool_size: 1 }],
    ['transactions in turn', { pool_mode: 'transaction', server_round_robin: 1 }],
  ])('is refused when it shares sessions: %s', async (_, settings) => {
    const url = await through(settings);
    // Other clients use it, too: their connections to PostgreSQL exist already.
    if (!('default_pool_size' in settings)) {
      const others = await Promise.all([connect(url), connect(url), connect(url)]);
      await Promise.all(others.map((other) => other.query('select pg_sleep(0.05)')));
    }
    await expect(requireSuitableServer(url)).rejects.toThrow(BootError);
    await expect(requireSuitableServer(url)).rejects.toThrow(SHARED);
  });

  it('is refused while other clients keep its connections busy', async () => {
    const url = await through({ pool_mode: 'transaction', default_pool_size: 4 });
    const others = await Promise.all(Array.from({ length: 8 }, () => connect(url)));
    const traffic = { goesOn: true };
    const queries = others.map(async (other) => {
      while (traffic.goesOn) await other.query('select 1');
    });
    try {
      await expect(requireSuitableServer(url)).rejects.toThrow(SHARED);
    } finally {
      traffic.goesOn = false;
      await Promise.all(queries);
    }
  });

  it('that keeps sessions does not hand a read-only one out again: the client has ended it', async () => {
    const connectionString = await through({ pool_mode: 'session', default_pool_size: 1 });
    await owner.query('alter role postgres set default_transaction_read_only = on');
    try {
      // The pooler has a session already. It is from before.
      await owner.query(END_OTHERS);
      // Until the pooler notices, a client still gets the session that has just been terminated.
      await eventually(() =>
        expect(new PostgresClient({ connectionString }).connect()).rejects.toThrow(ReadOnlySession),
      );
    } finally {
      await owner.query('alter role postgres reset default_transaction_read_only');
    }
    const client = new PostgresClient({ connectionString });
    await client.connect();
    await client.end();
  });

  it('stops the boot and the migration with a sentence that names the setting, and leaves no trace', async () => {
    const url = await through({ pool_mode: 'transaction' });
    const { code, output } = await runToEnd({ DATABASE_URL: url, DATA_DIR: folder });
    expect(code).toBe(1);
    expect(output).toMatch(SHARED);
    expect(output).not.toMatch(/\n\s+at /);
    await expect(migrateDatabase(url)).rejects.toThrow(SHARED);
    const locks = await owner.query(`select from pg_locks where locktype = 'advisory'`);
    expect(locks.rowCount).toBe(0);
    const visitor = await connect(url);
    expect((await visitor.query('show timezone')).rows).toEqual((await owner.query('show timezone')).rows);
  });

  describe('that keeps sessions, with its own defaults', () => {
    let app: TestApp;
    beforeAll(async () => {
      app = await startApp({
        env: { DATABASE_URL: await through({ pool_mode: 'session' }), REDIS_URL: undefined },
      });
    });
    afterAll(() => app.close());

    it('is accepted', async () => {
      await owner.query(`update users set roles = '{user,admin}' where id = $1`, [ADMIN.id]);
      const [admin, alice] = [await loggedIn(app, ADMIN), await loggedIn(app, ALICE)];
      for (let time = 0; time < 3; time++) expect((await alice.refresh()).status).toBe(200);
      expect(await admin.delete(`/v1/admin/sessions/${alice.id}`)).toMatchObject({ status: 200 });
      await eventually(async () => expect((await alice.get('/v1/probe/flags')).status).toBe(401));
      expect((await app.client().get('/health/ready')).status).toBe(200);
    });

    it('is not trusted: connections prove by themselves that they can write', async () => {
      const alice = await loggedIn(app, ALICE);
      await owner.query('alter role postgres set default_transaction_read_only = on');
      try {
        await owner.query(END_OTHERS);
        expect((await alice.get('/v1/sessions/current')).status).toBe(503);
        expect((await alice.copy().refresh()).status).toBe(503);
        expect((await app.client().get('/health/ready')).status).toBe(503);
      } finally {
        await owner.query('alter role postgres reset default_transaction_read_only');
      }
      // PgBouncer closes the connections of disconnected clients a moment later.
      await eventually(async () => expect((await alice.refresh()).status).toBe(200));
      await eventually(async () => expect((await app.client().get('/health/ready')).status).toBe(200));
    });
  });
});
