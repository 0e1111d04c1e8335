import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { AuditService } from '../../src/platform/audit/audit.service.js';
import { grantToApp } from '../../src/platform/persistence/app-role.js';
import { CHECK_POOL, MAIN_POOL } from '../../src/platform/persistence/database.module.js';
import { databaseProblem } from '../../src/platform/persistence/database-problem.js';
import { PostgresPool } from '../../src/platform/persistence/postgres/postgres-pool.js';
import { ADMIN, ALICE, BOB, PASSWORD, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer } from '../../test/support/client.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { startInstance } from '../../test/support/instance.js';
import { migrateDatabase } from '../../test/support/migrate.mjs';
import { overHttp } from '../../test/support/over-http.js';
import { loggedIn } from '../../test/support/test-users.js';
import { startPostgres } from '../../test/support/services.mjs';
import { connect, disconnect, eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/**
 * Real: a PostgreSQL of this file's own, whose connections are ended and whose settings are changed; the
 * application over it, in this process and in processes of its own; PgBouncer. Sessions are cached in process, for
 * one instance at a time.
 */

const postgres = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-connections-'));
const ROLE = 'app';
/** The application's role owns nothing, so that it has only its granted rights. */
const url = Object.assign(new URL(postgres.url), { username: ROLE }).href;
const SESSION = '/v1/sessions/current';
const UNAVAILABLE = {
  status: 503,
  body: { code: 'auth.unavailable' },
  headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
};

let owner: pg.Client;
let app: TestApp;

const start = (env: Record<string, string | undefined> = {}) =>
  startApp({ env: { DATABASE_URL: url, REDIS_URL: undefined, ...env } });
const readiness = async (of: Pick<TestApp, 'client'> = app) => await of.client().get('/health/ready');
const untilReady = (of: Pick<TestApp, 'client'> = app) =>
  eventually(async () => expect(await readiness(of)).toMatchObject({ status: 200 }));
const terminateAll = () =>
  owner.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [ROLE]);
const terminate = (pid: number) => owner.query('select pg_terminate_backend($1)', [pid]);

beforeAll(async () => {
  await migrateDatabase(postgres.url);
  owner = new pg.Client({ connectionString: postgres.url });
  await owner.connect();
  await owner.query(`create role ${ROLE} login`);
  await grantToApp(owner, ROLE);
  app = await start();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await disconnect();
  await owner.query(`alter role ${ROLE} reset all`);
});
afterAll(async () => {
  await app.close();
  await owner.end();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a connection that PostgreSQL ends', () => {
  const untilEnded = (client: pg.ClientBase) =>
    new Promise<void>((resolve) => void client.once('end', () => resolve()));

  it.each([
    ['the pool of session checks', CHECK_POOL],
    ['the pool of everything else', MAIN_POOL],
  ])('ends no process while no query waits on it: of %s', async (_, token) => {
    const client = await app.get<pg.Pool>(token).connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const ended = untilEnded(client);
    await terminate(rows[0]!.pid);
    await ended;
    client.release();
    expect((await loggedIn(app, ALICE)).id).toEqual(expect.any(String));
  });

  it('answers 503 to the request of its transaction, whichever statement comes next', async () => {
    const admin = await loggedIn(app, ADMIN);
    const audit = app.get(AuditService);
    const record = audit.record.bind(audit);
    jest.spyOn(audit, 'record').mockImplementationOnce(async (tx, entry) => {
      const [{ pid }] = await tx.query<[{ pid: number }]>('select pg_backend_pid() as pid');
      await terminate(pid);
      await eventually(() => expect(tx.queryRunner!.isReleased).toBe(true));
      await record(tx, entry);
    });
    const grant = () => admin.put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user', 'admin'] });
    expect(await grant()).toMatchObject(UNAVAILABLE);
    expect(await owner.query('select roles from users where id = $1', [BOB.id])).toMatchObject({
      rows: [{ roles: ['user'] }],
    });
    expect((await admin.put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user'] })).status).toBe(200);
  });

  it('by the hundred, beside requests of all kinds, causes only the right answer or 503, and no crash', async () => {
    await app.close();
    const env = { DATABASE_URL: url, DATA_DIR: folder, RATE_LIMITS: 'off', LOG_LEVEL: 'error' };
    const instance = await startInstance(env);
    try {
      const remote = overHttp(instance.url);
      const [admin, alice] = [await loggedIn(remote, ADMIN), await loggedIn(remote, ALICE)];
      const statuses = new Map<string, number>();
      const count = (what: string, { status }: Answer) =>
        statuses.set(`${what} ${status}`, (statuses.get(`${what} ${status}`) ?? 0) + 1);
      for (let round = 0; round < 20; round++) {
        const name = { displayName: `Alice ${round}` };
        const asked = [
          alice.get(SESSION).then((answer) => count('check', answer)),
          alice.patch('/v1/users/me', name).then((answer) => count('profile', answer)),
          alice
            .copy()
            .patch(`/v1/devices/${alice.deviceId}`, { name: `Desk ${round}` })
            .then((answer) => count('device', answer)),
          alice.refresh().then((answer) => count('refresh', answer)),
          admin
            .put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user'] })
            .then((answer) => count('roles', answer)),
          admin.get('/v1/admin/users').then((answer) => count('users', answer)),
        ];
        if (round % 10 === 0)
          asked.push(
            remote
              .client()
              .login(BOB.email, PASSWORD)
              .then((answer) => count('login', answer)),
          );
        await terminateAll();
        await Promise.all(asked);
      }
      expect([...statuses.keys()].filter((key) => !/ (200|201|503)$/.test(key))).toEqual([]);
      await untilReady(remote);
      expect((await loggedIn(remote, BOB)).id).toEqual(expect.any(String));
    } finally {
      const code = await instance.stop();
      app = await start();
      expect(code).toBe(0);
    }
  }, 90_000);
});

describe('a PostgreSQL that takes no writes', () => {
  const settle = async (value: string) => {
    await owner.query('select pg_reload_conf()');
    await eventually(async () => {
      const { rows } = await owner.query('select reset_val from pg_settings where name = $1', [
        'default_transaction_read_only',
      ]);
      expect(rows).toEqual([{ reset_val: value }]);
    });
  };
  /** For existing and new sessions, as a cluster manager fences a former primary. */
  const fence = async () => {
    await owner.query('alter system set default_transaction_read_only = on');
    await settle('on');
  };
  const unfence = async () => {
    await owner.query('set default_transaction_read_only = off');
    await owner.query('alter system reset default_transaction_read_only');
    await settle('off');
  };
  const login = (at: Pick<TestApp, 'client'> = app) =>
    at.client().login(BOB.email, PASSWORD, { transport: 'bearer' });

  it('gets no new connections, logs no client out, makes the instance not ready, and is used again when it takes writes', async () => {
    const alice = await loggedIn(app, ALICE);
    await owner.query(`alter role ${ROLE} set default_transaction_read_only = on`);
    await terminateAll();
    for (const answer of await Promise.all([login(), alice.copy().refresh(), alice.get(SESSION)])) {
      expect(answer).toMatchObject(UNAVAILABLE);
    }
    expect(await readiness()).toMatchObject({ status: 503, body: { postgres: 'failing' } });

    await owner.query(`alter role ${ROLE} reset default_transaction_read_only`);
    expect((await login()).status).toBe(200);
    expect((await alice.get(SESSION)).status).toBe(200);
    await untilReady();
  });

  it('makes open connections read-only, and these are discarded after that answer', async () => {
    const alice = await loggedIn(app, ALICE);
    const pool = app.get<pg.Pool>(CHECK_POOL);
    const [mine] = (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
    await fence();
    try {
      expect(await alice.copy().get(SESSION)).toMatchObject(UNAVAILABLE);
      expect(await login()).toMatchObject(UNAVAILABLE);
      expect(await readiness()).toMatchObject({ status: 503, body: { postgres: 'failing' } });
    } finally {
      await unfence();
    }
    await eventually(async () => expect((await login()).status).toBe(200));
    expect((await alice.get(SESSION)).status).toBe(200);
    const [now] = (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
    expect(now!.pid).not.toBe(mine!.pid);
  });

  it('answers a write with 503 and the end of its connection', async () => {
    const pool = new PostgresPool({ connectionString: url, max: 1 });
    try {
      const pidOf = async (client: pg.ClientBase) =>
        (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
      const first = await pool.connect();
      const pid = await pidOf(first);
      await first.query('begin read only');
      const refused = await first.query('delete from scheduled_jobs').catch((error: unknown) => error);
      expect(databaseProblem(refused)).toMatchObject({ status: 503 });
      await expect(first.query('rollback')).rejects.toThrow('not queryable');
      first.release();
      const second = await pool.connect();
      expect(await pidOf(second)).not.toBe(pid);
      second.release();
    } finally {
      await pool.end();
    }
  });

  it('makes way for a new primary after a failover: a session of the new primary is accepted, and never invalid', async () => {
    await app.close();
    const successor = await startPostgres();
    const proxy = await FaultProxy.before(url);
    try {
      await migrateDatabase(successor.url);
      const theirs = await connect(successor.url);
      await theirs.query(`create role ${ROLE} login`);
      await grantToApp(theirs, ROLE);
      await disconnect();
      const other = await start({
        DATABASE_URL: Object.assign(new URL(successor.url), { username: ROLE }).href,
      });
      const { accessToken } = await loggedIn(other, ALICE);
      await other.close();

      app = await start({ DATABASE_URL: proxy.url });
      const alice = Object.assign(app.client(), { accessToken });
      expect(await alice.get(SESSION)).toMatchObject({ status: 401 }); // the control: it is unknown there
      // The former primary is fenced; its connections stay, new ones lead to its successor.
      proxy.retarget(Object.assign(new URL(successor.url), { username: ROLE }).href);
      await fence();
      const seen: number[] = [];
      await eventually(async () => {
        const { status } = await alice.get(SESSION);
        seen.push(status);
        expect(status).toBe(200);
      });
      expect(seen.filter((status) => status !== 503)).toEqual([200]);
    } finally {
      await unfence();
      await app.close();
      await proxy.close();
      await successor.stop();
      app = await start();
    }
  }, 60_000);
});

describe('a connection that cannot be opened', () => {
  it.each([
    ['the role may not log in (28000)', `alter role ${ROLE} nologin`, `alter role ${ROLE} login`],
    [
      'the role may not connect (42501)',
      'revoke connect on database postgres from public',
      'grant connect on database postgres to public',
    ],
    [
      'the role has reached its limit of connections (53300)',
      `alter role ${ROLE} connection limit 0`,
      `alter role ${ROLE} connection limit -1`,
    ],
  ])('causes a 503 for any reason, until it can be opened: %s', async (_, strike, mend) => {
    const alice = await loggedIn(app, ALICE);
    await owner.query(strike);
    await terminateAll();
    try {
      expect(await alice.copy().refresh()).toMatchObject(UNAVAILABLE);
      expect(await alice.copy().get(SESSION)).toMatchObject(UNAVAILABLE);
      expect((await readiness()).status).toBe(503);
    } finally {
      await owner.query(mend);
    }
    expect((await alice.refresh()).status).toBe(200);
    await untilReady();
  });
});

describe('a statement that PostgreSQL refuses after a change under a running instance', () => {
  /** Repeats the request until it succeeds. */
  const refusals = async (ask: () => Promise<Answer>) => {
    const statuses: number[] = [];
    await eventually(async () => {
      const answer = await ask();
      statuses.push(answer.status);
      expect(answer.status).toBe(200);
    });
    return statuses.slice(0, -1);
  };

  it('causes one 503 for each connection at most when its plan has another result type (0A000)', async () => {
    const alice = await loggedIn(app, ALICE);
    // A job may use a connection at that moment, so every connection of the pool gets the plan.
    await Promise.all(Array.from({ length: 30 }, () => alice.copy().refresh()));
    await owner.query('alter table sessions alter column user_agent type varchar(2000)');
    try {
      const open = app.get<pg.Pool>(MAIN_POOL).totalCount;
      const refused = await refusals(() => alice.refresh());
      expect(new Set(refused)).toEqual(new Set([503]));
      expect(refused.length).toBeLessThanOrEqual(open);
    } finally {
      await owner.query('alter table sessions alter column user_agent type text');
    }
  });

  it('causes one 503 for each connection at most when it is no longer prepared (26000)', async () => {
    const alice = await loggedIn(app, ALICE);
    await refusals(() => alice.refresh());
    const pool = app.get<pg.Pool>(MAIN_POOL);
    const connections = await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()));
    for (const connection of connections) {
      await connection.query('deallocate all');
      connection.release();
    }
    const refused = await refusals(() => alice.refresh());
    expect(new Set([503, ...refused])).toEqual(new Set([503]));
    expect(refused.length).toBeLessThanOrEqual(connections.length);
  });

  it('causes 503 when new connections are refused, whatever the reason (55000)', async () => {
    const alice = await loggedIn(app, ALICE);
    const maintenance = Object.assign(new URL(postgres.url), { pathname: '/template1' }).href;
    const outside = await connect(maintenance);
    const database = new URL(postgres.url).pathname.slice(1);
    await outside.query(`alter database "${database}" allow_connections false`);
    try {
      await terminateAll();
      for (let count = 0; count < 3; count++) expect(await alice.get(SESSION)).toMatchObject(UNAVAILABLE);
    } finally {
      await outside.query(`alter database "${database}" allow_connections true`);
    }
    await untilReady();
    expect(await alice.get(SESSION)).toMatchObject({ status: 200 });
  });

  it('causes 503 on new connections, too, as long as a right is missing (42501)', async () => {
    const alice = await loggedIn(app, ALICE);
    await owner.query(`revoke update on users, session_epoch from ${ROLE}`);
    try {
      expect(await readiness()).toMatchObject({ status: 503, body: { postgres: 'failing' } });
      const rename = () => alice.patch('/v1/users/me', { displayName: 'A.' });
      const pids = async () =>
        (
          await owner.query(
            `select pid from pg_stat_activity where application_name = '${PRODUCT.applicationName.main}'`,
          )
        ).rows;
      const before = await pids();
      expect(await rename()).toMatchObject(UNAVAILABLE);
      await eventually(async () => expect(await pids()).not.toEqual(before));
    } finally {
      await grantToApp(owner, ROLE);
    }
    expect((await alice.patch('/v1/users/me', { displayName: 'A.' })).status).toBe(200);
  });
});

describe('a pool', () => {
  it('takes no connection back in the middle of a transaction, because the next user would commit it', async () => {
    const pool = new PostgresPool({ connectionString: url, max: 1 });
    try {
      const first = await pool.connect();
      await first.query('begin');
      await first.query(`update users set display_name = 'half done' where id = $1`, [ALICE.id]);
      first.release();
      const second = await pool.connect();
      await second.query('begin');
      await second.query('commit');
      second.release();
      const { rows } = await owner.query('select display_name from users where id = $1', [ALICE.id]);
      expect(rows[0].display_name).not.toBe('half done');
    } finally {
      await pool.end();
    }
  });

  it('takes no connection back whose statement has timed out and still runs', async () => {
    const pool = new PostgresPool({ connectionString: url, max: 1, query_timeout: 50 });
    const lock = await connect(postgres.url);
    await lock.query('begin; lock table users');
    try {
      const first = await pool.connect();
      await expect(first.query('select from users')).rejects.toThrow('timeout');
      first.release();
      const second = await pool.connect();
      await expect(
        second.query({ text: 'select 1', query_timeout: 5_000 } as pg.QueryConfig),
      ).resolves.toBeDefined();
      second.release();
    } finally {
      await lock.query('rollback');
      await pool.end();
    }
  });
});
