import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { BootError } from '../../src/platform/settings/boot-error.js';
import { listen } from '../../src/platform/http/listen.js';
import { DEMO_PASSWORD } from '../../src/seeds.js';
import { runToEnd, startInstance } from '../../test/support/instance.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis, type Service } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/** Real: the application's process, PostgreSQL, Redis. */
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-boot-'));
const developmentKeys = join(folder, 'keys.json');
const productionKeys = join(folder, 'production.json');
const NOWHERE = 'postgres://unknown@127.0.0.1:1/nothing';
/** A role that needs a password, which is its name. */
const GUARDED = 'guarded';
let postgres: Service;

beforeAll(async () => {
  postgres = await startPostgres();
  await guard(postgres.url);
  execFileSync(process.execPath, ['dist/platform/keys/generate-keys.cli.js', productionKeys]);
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a boot with a fatal fault', () => {
  it.each<[string, Record<string, string>, RegExp[]]>([
    [
      'over invalid values, and names them all',
      { PORT: 'http', ACCESS_TOKEN_TTL: '901s' },
      [/PORT "http" .*allowed:/, /ACCESS_TOKEN_TTL "901s" .*15m/],
    ],
    [
      'in production without its own stores and keys',
      { NODE_ENV: 'production' },
      [/DATABASE_URL is not set/, /REDIS_URL is not set/, /KEYS_FILE is not set/],
    ],
    [
      'over an invalid data folder',
      { DATABASE_URL: NOWHERE, DATA_DIR: '/dev/null' },
      [/DATA_DIR "\/dev\/null" .*allowed:/],
    ],
    ['over a database that does not answer', { DATABASE_URL: NOWHERE }, [/DATABASE_URL .*does not answer/]],
  ])('stops %s [OPS-01, TOK-01]', async (_, env, sentences) => {
    const { code, output } = await runToEnd({ DATA_DIR: folder, ...env });
    expect(code).toBe(1);
    for (const sentence of sentences) expect(output).toMatch(sentence);
    expect(output).not.toMatch(/\n\s+at /);
  });

  it.each<[string, (url: URL) => unknown, RegExp]>([
    ['a wrong password', (url) => (url.password = 'hunter2'), /password authentication failed/],
    ['no password where one is required', (url) => (url.password = ''), /password/],
    ['an unknown role', (url) => (url.username = 'unknown'), /role "unknown" does not exist/],
    ['an unknown database', (url) => (url.pathname = '/nothing'), /database "nothing" does not exist/],
  ])('stops over %s, and names DATABASE_URL', async (_, change, why) => {
    const url = Object.assign(new URL(postgres.url), { username: GUARDED, password: GUARDED });
    change(url);
    const { code, output } = await runToEnd({ DATABASE_URL: url.href, DATA_DIR: folder });
    expect(code).toBe(1);
    expect(output).toMatch(/PostgreSQL refuses the role, password or database of DATABASE_URL/);
    expect(output).toMatch(why);
    expect(output).not.toMatch(/hunter2|\n\s+at /);
  });

  it.each(['no-such-host.invalid', '192.0.2.1', 'fe80::1'])(
    'stops over a HOST where no process can listen: %s',
    async (HOST) => {
      const { code, output } = await runToEnd({
        DATABASE_URL: postgres.url,
        DATA_DIR: folder,
        PORT: '0',
        HOST,
      });
      expect(code).toBe(1);
      expect(output).toMatch(new RegExp(`HOST "${HOST}": .*; allowed: `));
      expect(output).not.toMatch(/DATABASE_URL|\n\s+at /);
    },
  );

  it('stops over a port that only root may listen on', async () => {
    const app = {
      listen: () => Promise.reject(Object.assign(new Error(), { code: 'EACCES', syscall: 'listen' })),
    };
    const refusal = listen(app, { port: 80, host: '0.0.0.0' });
    await expect(refusal).rejects.toThrow(BootError);
    await expect(refusal).rejects.toThrow(/PORT 80; allowed: /);
  });

  it('stops over a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, output } = await runToEnd({
      DATABASE_URL: postgres.url,
      DATA_DIR: folder,
      PORT: String(port),
    });
    other.close();
    expect(code).toBe(1);
    expect(output).toContain(`PORT ${port} is already in use`);
  });

  it('never prints a secret, not even a wrong one [LOG-03]', async () => {
    const { code, output } = await runToEnd({ DATABASE_URL: 'mysql://root:hunter2@db/x', DATA_DIR: folder });
    expect(code).toBe(1);
    expect(output).toMatch(/DATABASE_URL is not such a URL/);
    expect(output).not.toContain('hunter2');
  });

  it('stops a second instance that shares a database but no Redis, and leaves the first running', async () => {
    const env = { DATABASE_URL: postgres.url, DATA_DIR: folder };
    const first = await startInstance(env);
    const { code, output } = await runToEnd({ ...env, PORT: '0' });
    expect(code).toBe(1);
    expect(output).toMatch(/set REDIS_URL/);
    expect((await fetch(`${first.url}/health/ready`)).status).toBe(200);
    expect(await first.stop('SIGINT')).toBe(0);
  });
});

describeWithRedis('a Redis that refuses an instance', () => {
  let redis: Service;
  beforeAll(async () => {
    redis = (await startRedis())!;
  });
  afterAll(() => redis?.stop());

  it('does not stop the boot, and is logged with the variable and the reason', async () => {
    const instance = await startInstance({
      DATABASE_URL: postgres.url,
      DATA_DIR: folder,
      REDIS_URL: `${redis.url}/99`,
    });
    await instance.stop();
    const warning = instance
      .output()
      .split('\n')
      .find((line) => line.includes('"level":"warn"'))!;
    expect(JSON.parse(warning)).toMatchObject({
      msg: expect.stringContaining('REDIS_URL'),
      err: { message: expect.stringContaining('DB index is out of range') },
    });
  });
});

describe('an instance that gets SIGTERM', () => {
  it('exits although a client has sent half a request and keeps its connection', async () => {
    const env = { DATABASE_URL: postgres.url, DATA_DIR: folder, REQUEST_TIMEOUT: '1s' };
    const instance = await startInstance(env);
    const slow = connect(Number(new URL(instance.url).port), '127.0.0.1');
    await once(slow, 'connect');
    slow.write(
      'POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    );
    // The client may get an answer that it was too slow, and sees the end only when it reads on.
    slow.on('error', () => undefined).resume();
    const gone = once(slow, 'close');
    await (await fetch(`${instance.url}/health/live`)).text(); // all before has been read
    expect(await instance.stop()).toBe(0);
    await gone;
  });
});

describe('the bundle that is served', () => {
  it('contains no part of the embedded PostgreSQL, which is for development only', () => {
    const files = readdirSync('dist/server').map((file) => readFileSync(join('dist/server', file), 'utf8'));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((text) => text.includes('initdb'))).toEqual([]);
  });

  it('loads its bundled packages once: no second TypeORM and no second pg beside it', async () => {
    const env = { DATABASE_URL: postgres.url, DATA_DIR: folder, NODE_DEBUG: 'module' };
    const instance = await startInstance(env);
    const loaded = [...instance.output().matchAll(/load "[^"]*node_modules\/((?:@[^/]+\/)?[^/]+)/g)].map(
      ([, name]) => name,
    );
    expect(await instance.stop()).toBe(0);
    expect(loaded).toContain('piscina'); // is not bundled
    for (const name of ['typeorm', 'pg', 'fastify']) expect(loaded).not.toContain(name);
  });
});

describeWithRedis('production', () => {
  let redis: Service;
  let env: Record<string, string>;

  beforeAll(async () => {
    redis = (await startRedis())!;
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query('create database production');
    await client.end();
    const database = Object.assign(new URL(postgres.url), { pathname: '/production' }).href;
    env = {
      NODE_ENV: 'production',
      DATABASE_URL: database,
      REDIS_URL: redis.url,
      KEYS_FILE: productionKeys,
      DATA_DIR: folder,
      HOST: '127.0.0.1',
    };
  });
  afterAll(() => redis?.stop());

  it('refuses keys that were made for development, demo users and cookies that travel in the clear [COK-03, KEY-01, OPS-01, RST-03]', async () => {
    await runToEnd({ DATABASE_URL: NOWHERE, DATA_DIR: folder }); // makes the development keys
    const bad = { ...env, KEYS_FILE: developmentKeys };
    expect(await runToEnd(bad)).toMatchObject({
      code: 1,
      output: expect.stringMatching(/KEYS_FILE was generated for development/),
    });
    const worse = await runToEnd({
      ...env,
      COOKIE_SECURE: 'false',
      APP_URL: 'http://app.example.com',
      SEED_USERS: 'true',
    });
    expect(worse).toMatchObject({
      code: 1,
      output: expect.stringMatching(
        /COOKIE_SECURE .*refused[\s\S]*APP_URL .*https[\s\S]*SEED_USERS .*refused/,
      ),
    });
  });

  it('refuses a database with seeded demo users, and names them [AUT-10, OPS-01]', async () => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query('create database seeded');
    await client.end();
    const DATABASE_URL = Object.assign(new URL(postgres.url), { pathname: '/seeded' }).href;
    const development = await startInstance({ DATABASE_URL, DATA_DIR: folder });
    expect(await development.stop()).toBe(0);
    const { code, output } = await runToEnd({ ...env, DATABASE_URL });
    expect(code).toBe(1);
    expect(output).toMatch(/DATABASE_URL .*: admin@example\.com, alice@example\.com, bob@example\.com\./);
    expect(output).not.toMatch(/\n\s+at /);
  }, 120_000);

  it('refuses a database that lacks migrations, and serves without seeds or docs after them, and logs its configuration [AUT-10, LOG-01, OPS-02]', async () => {
    expect(await runToEnd(env)).toMatchObject({ code: 1, output: expect.stringMatching(/db:migrate/) });
    const applied = execFileSync(process.execPath, ['dist/platform/persistence/migrate.cli.js'], {
      env,
      encoding: 'utf8',
    });
    expect(applied).toMatch(/applied Users/);
    expect(
      execFileSync(process.execPath, ['dist/platform/persistence/migrate.cli.js'], { env, encoding: 'utf8' }),
    ).toBe('no migrations to apply\n');

    const instance = await startInstance(env);
    const call = (path: string, body?: object) =>
      fetch(instance.url + path, {
        method: body ? 'POST' : 'GET',
        headers: body && { 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
      });
    expect((await call('/health/ready')).status).toBe(200);
    expect((await call('/docs')).status).toBe(404);
    expect((await call('/openapi.json')).status).toBe(404);
    const seeded = { email: 'alice@example.com', password: DEMO_PASSWORD };
    expect((await call('/v1/auth/login', seeded)).status).toBe(401);

    const owner = { email: 'Owner@Example.com', password: 'a password of an owner' };
    expect((await call('/v1/auth/register', owner)).status).toBe(202);
    expect((await call('/v1/auth/login', owner)).status).toBe(401);
    const token = await eventually(() => mailedToken(join(folder, 'mails')));
    expect((await call('/v1/auth/email/verify', { token })).status).toBe(204);
    execFileSync(process.execPath, ['dist/admin/grant-admin.cli.js', 'owner@example.com'], { env });
    expect((await call('/dev/mails')).status).toBe(404);
    const login = await call('/v1/auth/login', { ...owner, transport: 'bearer' });
    expect(await login.json()).toMatchObject({ user: { roles: ['user', 'admin'] } });
    expect(await instance.stop()).toBe(0);

    expect(instance.output()).not.toContain('#token=');
    const events = instance
      .output()
      .split('\n')
      .filter((line) => line.includes('"event":"sys_'))
      .map((line) => JSON.parse(line));
    expect(events).toEqual([
      expect.objectContaining({
        event: 'sys_startup',
        service: PRODUCT.slug,
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        settings: expect.objectContaining({
          DATABASE_URL: '(set)',
          REDIS_URL: '(set)',
          NODE_ENV: 'production',
        }),
      }),
      expect.objectContaining({ event: 'sys_shutdown' }),
    ]);
  });
});

async function guard(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`create role ${GUARDED} login password '${GUARDED}'`);
  const { rows } = await client.query(`select setting as file from pg_settings where name = 'hba_file'`);
  const lines = [`host all ${GUARDED} all scram-sha-256`, 'host all all all trust'];
  await client.query(
    `copy (values ${lines.map((line) => `('${line}')`).join()}) to ${client.escapeLiteral(rows[0].file)}`,
  );
  await client.query('select pg_reload_conf()');
  await client.end();
}

/** From the one mail in the outbox. */
function mailedToken(mails: string): string {
  const file = readdirSync(mails).find((name) => name.endsWith('.txt'));
  return /#token=([\w-]+)$/m.exec(readFileSync(join(mails, file!), 'utf8'))![1]!;
}
