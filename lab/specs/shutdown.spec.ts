import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import pg from 'pg';
import { close } from '../../src/platform/http/listen.js';
import { MAX_HANDOVER_MS, QUIET_MS, Shutdown } from '../../src/platform/http/shutdown.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { SteadyClock } from '../../test/support/clock.js';
import { runToEnd, startInstance, type Instance } from '../../test/support/instance.js';
import { overHttp } from '../../test/support/over-http.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis, type Service } from '../../test/support/services.mjs';
import { eventually, Gate } from '../../test/support/waiting.js';

/** Real: the application's process and its signals, sockets, PostgreSQL, Redis. */

// Each test starts processes.
jest.setTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), 'drawbridge-shutdown-'));
const DELAY = '5m';
const LIVE = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n';
const MINE = 'GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\n\r\n';
const HALF_LOGIN =
  'POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
const OTHER_HALF = ' '.repeat(98) + '}';

let postgres: Service;
const instances: Instance[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(instances.splice(0).map((instance) => instance.stop('SIGKILL')));
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(env: Record<string, string> = {}): Promise<Instance> {
  const instance = await startInstance({ DATABASE_URL: postgres.url, DATA_DIR: folder, ...env });
  instances.push(instance);
  return instance;
}

/** A connection that stays open between requests, as proxies keep them. */
async function keepAlive({ url }: Pick<Instance, 'url'>) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1')));
  const ended = once(socket, 'end'); // rejects when the connection is reset
  ended.catch(() => undefined);
  return {
    ended,
    send: (bytes: string) => socket.write(bytes),
    /** The next complete answer. */
    answer: () =>
      eventually(() => {
        const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(text) ?? [];
        const end = text.indexOf('\r\n\r\n') + 4 + Number(length);
        if (length === undefined || text.length < end) throw new Error(`no answer yet: ${text}`);
        const answer = text.slice(0, end);
        text = text.slice(end);
        return answer;
      }),
  };
}

const isReady = async ({ url }: Pick<Instance, 'url'>) => (await fetch(`${url}/health/ready`)).ok;
const untilNotReady = (instance: Instance) =>
  eventually(async () => expect(await isReady(instance)).toBe(false));

const REFUSED = {
  status: 503,
  code: 'auth.unavailable',
  requestId: expect.any(String),
  type: expect.stringContaining('auth.unavailable'),
};

describe('an instance that shuts down', () => {
  let app: TestApp;
  let instance: { url: string };
  let closed: Promise<void>;
  let clock: SteadyClock;
  const delay = { asked: [] as number[], gate: new Gate() };

  beforeEach(async () => {
    await resetStores();
    clock = new SteadyClock();
    app = await startApp({ clock, env: { SHUTDOWN_DELAY: '5m', REDIS_URL: undefined } });
    await app.app.listen(0, '127.0.0.1');
    instance = { url: await app.app.getUrl() };
    Object.assign(delay, { asked: [], gate: new Gate() });
    jest.spyOn(app.get(Shutdown), 'wait').mockImplementation(async (ms) => {
      delay.asked.push(ms);
      await Promise.all([delay.gate.opened, nextTurn()]);
    });
  });
  afterEach(async () => {
    delay.gate.open();
    for (const socket of sockets.splice(0)) socket.destroy();
    const passing = setInterval(() => clock.advanceSteadily(MAX_HANDOVER_MS));
    await closed;
    clearInterval(passing);
  });
  const shutDown = () => void (closed = close(app.app, { requestTimeout: 30_000 }));

  it('is not ready at once, serves for SHUTDOWN_DELAY, and closes connections with their next answer', async () => {
    const [idle, busy] = [await keepAlive(instance), await keepAlive(instance)];
    idle.send(LIVE);
    expect(await idle.answer()).not.toMatch(/connection: close/i);
    busy.send(HALF_LOGIN);
    expect(await isReady(instance)).toBe(true);

    shutDown();
    expect(await isReady(instance)).toBe(false);
    expect(delay.asked).toEqual([300_000]);
    for (const path of ['/health/live', '/.well-known/jwks.json', '/metrics']) {
      expect((await fetch(instance.url + path)).status).toBe(200);
    }
    const login = await overHttp(instance.url).client().login(ALICE.email, PASSWORD);
    expect(login).toMatchObject({ status: 200, headers: { connection: 'close' } });
    idle.send(MINE);
    expect(await idle.answer()).toMatch(/^HTTP\/1\.1 401 [^]*\r\nconnection: close\r\n/i);
    await idle.ended;
    busy.send(OTHER_HALF);
    expect(await busy.answer()).toMatch(/^HTTP\/1\.1 400 [^]*\r\nconnection: close\r\n/i);
    await busy.ended;
  });

  it('then refuses reads with a problem and serves writes, and finishes pending requests', async () => {
    const [idle, busy] = [await keepAlive(instance), await keepAlive(instance)];
    idle.send(LIVE);
    await idle.answer();
    busy.send(HALF_LOGIN);
    await fetch(`${instance.url}/health/live`); // the first half has been read

    delay.gate.open();
    shutDown();
    await eventually(() => expect(app.get(Shutdown).isDraining).toBe(true));
    for (const path of ['/v1/users/me', '/nowhere']) {
      const answer = await fetch(instance.url + path);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      expect(answer.headers.get('connection')).toBe('close');
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(await answer.json()).toMatchObject(REFUSED);
    }
    expect((await fetch(`${instance.url}/health/live`)).status).toBe(200);
    const login = await overHttp(instance.url).client().login(ALICE.email, PASSWORD);
    expect(login).toMatchObject({ status: 200, headers: { connection: 'close' } });
    idle.send(MINE);
    expect(await idle.answer()).toMatch(/^HTTP\/1\.1 503 [^]*\r\nconnection: close\r\n/i);
    await idle.ended;
    // No proxy sends requests any more: the instance takes no connections, and still waits for the pending request.
    clock.advanceSteadily(QUIET_MS);
    await eventually(() => expect(fetch(`${instance.url}/health/live`)).rejects.toThrow('fetch failed'));
    const polls = delay.asked.length;
    await eventually(() => expect(delay.asked.length).toBeGreaterThan(polls + 1));
    busy.send(OTHER_HALF);
    expect(await busy.answer()).toMatch(/^HTTP\/1\.1 400 [^]*\r\nconnection: close\r\n/i);
    await closed;
  });

  it('takes connections until no request has come for 250 ms, and for 2 s at most', async () => {
    const keptOpen = await keepAlive(instance);
    delay.gate.open();
    shutDown();
    await eventually(() => expect(app.get(Shutdown).isDraining).toBe(true));
    const polled = async () => {
      const polls = delay.asked.length;
      await eventually(() => expect(delay.asked.length).toBeGreaterThan(polls + 1));
    };
    for (const ms of [QUIET_MS - 1, QUIET_MS - 1]) {
      clock.advanceSteadily(ms);
      await polled();
      expect((await fetch(`${instance.url}/v1/users/me`)).status).toBe(503);
    }
    const step = 100;
    for (let passed = 2 * (QUIET_MS - 1); passed + step < MAX_HANDOVER_MS; passed += step) {
      clock.advanceSteadily(step);
      await polled();
      expect((await fetch(`${instance.url}/v1/users/me`)).status).toBe(503);
    }
    clock.advanceSteadily(step);
    await eventually(() => expect(fetch(`${instance.url}/v1/users/me`)).rejects.toThrow('fetch failed'));
    await keptOpen.ended;
  });
});

it('an instance that does not listen, as after a failed boot, shuts down without SHUTDOWN_DELAY', async () => {
  const app = await startApp({ env: { SHUTDOWN_DELAY: '5m', REDIS_URL: undefined } });
  const wait = jest.spyOn(app.get(Shutdown), 'wait').mockResolvedValue();
  await close(app.app, { requestTimeout: 30_000 });
  expect(wait).not.toHaveBeenCalled();
});

describe('a process that gets SIGTERM', () => {
  it('serves for SHUTDOWN_DELAY, and ends at once at the second signal', async () => {
    const instance = await start({ SHUTDOWN_DELAY: DELAY });
    instance.signal('SIGTERM');
    await untilNotReady(instance);
    expect((await fetch(`${instance.url}/v1/users/me`)).status).toBe(401);
    instance.signal('SIGTERM');
    expect(await instance.ended).toBe(1);
  });

  it('closes connections that are idle without resetting them', async () => {
    const instance = await start({ SHUTDOWN_DELAY: '0s' });
    const idle = await keepAlive(instance);
    idle.send(LIVE);
    await idle.answer();
    instance.signal('SIGTERM');
    await idle.ended;
    expect(await instance.ended).toBe(0);
  });

  it('does not wait for SHUTDOWN_DELAY when its boot fails', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { code, output } = await runToEnd({
      DATABASE_URL: postgres.url,
      DATA_DIR: folder,
      SHUTDOWN_DELAY: DELAY,
      PORT: String((other.address() as AddressInfo).port),
    });
    other.close();
    expect({ code, output }).toMatchObject({ code: 1, output: expect.stringContaining('is already in use') });
  });
});

describeWithRedis('a process that gets SIGTERM beside another one', () => {
  let redis: Service;
  beforeAll(async () => {
    redis = (await startRedis())!;
  });
  afterAll(() => redis?.stop());

  it('saves when its sessions were last used', async () => {
    const instance = await start({
      REDIS_URL: redis.url,
      SHUTDOWN_DELAY: '0s',
      LAST_SEEN_RESOLUTION: '1h', // no job saves them meanwhile
    });
    const alice = overHttp(instance.url).client();
    const { body } = await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    const database = new pg.Client({ connectionString: postgres.url });
    await database.connect();
    await database.query(`update sessions set last_seen_at = now() - interval '1 day' where id = $1`, [
      body.session.id,
    ]);
    expect((await alice.get('/v1/sessions/current')).status).toBe(200);
    expect(await instance.stop()).toBe(0);
    const { rows } = await database.query(
      `select last_seen_at > now() - interval '1 hour' as saved from sessions where id = $1`,
      [body.session.id],
    );
    await database.end();
    expect(rows).toEqual([{ saved: true }]);
  });

  it('receives revocations for as long as it serves', async () => {
    const env = { REDIS_URL: redis.url, SHUTDOWN_DELAY: DELAY };
    const [ending, other] = [await start(env), await start(env)];
    const alice = overHttp(other.url).client();
    await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    const atEnding = alice.copy().at(overHttp(ending.url));
    ending.signal('SIGTERM');
    await untilNotReady(ending);
    expect((await atEnding.get('/v1/auth/whoami')).status).toBe(200);
    expect((await alice.post('/v1/auth/logout')).status).toBe(204);
    await eventually(async () =>
      expect(await atEnding.get('/v1/auth/whoami')).toMatchObject({
        status: 401,
        body: { code: 'auth.session_ended' },
      }),
    );
  });
});
