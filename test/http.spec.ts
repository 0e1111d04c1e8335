import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { UserRepository } from '../src/users/user.repository.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer } from './support/client.js';
import { loggedIn, type Person } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { PRODUCT } from '../src/product.js';

/** Real: an instance over HTTP and over sockets, PostgreSQL. */
const ORIGIN = 'https://app.example.com';
const OTHERS = [
  'https://app.example.com.evil.example',
  'https://evil-app.example.com',
  'https://evilapp.example.com',
  'https://example.com',
  'https://sub.app.example.com',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://APP.example.com',
  'https://app.example.com/',
  'https://app.example.com, https://evil.example',
  'https://app.example.com https://evil.example',
  'https://app%2eexample.com',
  '*',
  'null',
  'file://',
  '',
];
const STANDARD = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
};

describe('the pages of', () => {
  let app: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({
      env: { TRUSTED_ORIGINS: `${ORIGIN},http://localhost:5173`, RATE_LIMITS: 'on', REDIS_URL: undefined },
    });
    alice = await loggedIn(app, ALICE);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => app.close());

  const preflight = (origin: string, path = '/v1/probe/payments') =>
    app.client().request('OPTIONS', path, {
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
  const shared = ({ headers }: Answer) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control-'));

  it.each([ORIGIN, 'http://localhost:5173'])(
    '%s may read, with credentials [CSR-08, HTTP-03]',
    async (origin) => {
      const answer = await alice.get('/v1/users/me', { headers: { origin } });
      expect(answer).toMatchObject({
        status: 200,
        headers: {
          ...STANDARD,
          'access-control-allow-origin': origin,
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': expect.stringContaining('Retry-After'),
          vary: expect.stringContaining('Origin'),
        },
      });
      const asked = await preflight(origin);
      expect(asked.status).toBeLessThan(300);
      expect(asked.text).toBe('');
      expect(asked.headers).toMatchObject({
        ...STANDARD,
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': expect.stringContaining('DELETE'),
        'access-control-allow-headers': expect.stringContaining('X-Device-Token'),
        vary: expect.stringContaining('Origin'),
      });
    },
  );

  it.each(OTHERS)('%j may not read, and no header repeats their origin [CSR-08, HTTP-03]', async (origin) => {
    for (const answer of [
      await alice.get('/v1/users/me', { headers: { origin } }),
      await preflight(origin),
    ]) {
      expect(shared(answer)).toEqual([]);
      expect(answer.headers.vary).toContain('Origin');
      expect(answer.headers).toMatchObject(STANDARD);
      if (origin.length > 4) expect(JSON.stringify(answer.headers)).not.toContain(origin);
    }
    expect(await preflight(origin)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, POST' } });
  });

  it('our own origin get the same Vary header, so that no cache mixes them up with others [CSR-08, HTTP-03]', async () => {
    const answer = await alice.get('/v1/users/me');
    expect(shared(answer)).toEqual([]);
    expect(answer.headers.vary).toContain('Origin');
  });

  it('a trusted origin cannot act with cookies, although they may read', async () => {
    const headers = { origin: ORIGIN, 'sec-fetch-site': 'cross-site' };
    const answer = await app.client().post('/v1/auth/logout', undefined, { headers });
    expect(answer).toMatchObject({ status: 403, headers: { 'access-control-allow-origin': ORIGIN } });
  });

  it('a trusted origin can read every kind of error, and each has the headers of all answers [HTTP-01, HTTP-02, HTTP-03, HTTP-04, HTTP-05, HTTP-06]', async () => {
    const headers = { origin: ORIGIN };
    const failing = async (error: Error) => {
      const spy = jest.spyOn(app.get(UserRepository), 'find').mockRejectedValue(error);
      const answer = await alice.get('/v1/users/me', { headers });
      spy.mockRestore();
      return answer;
    };
    for (let count = 0; count < 600; count += 1) await alice.get('/v1/probe/flags');
    const answers: [number, Answer][] = [
      [400, await app.client().post('/v1/auth/login', '{', { headers })],
      [401, await app.client().get('/v1/users/me', { headers })],
      [
        403,
        await app
          .client()
          .post('/v1/auth/login', {}, { headers: { ...headers, 'sec-fetch-site': 'cross-site' } }),
      ],
      [403, await alice.get('/v1/admin/users', { headers })],
      [404, await app.client().get('/nowhere', { headers })],
      [405, await app.client().request('PUT', '/v1/users/me', { headers })],
      [413, await app.client().post('/v1/auth/login', 'x'.repeat(10_000_000), { headers })],
      [
        415,
        await app
          .client()
          .post('/v1/auth/login', 'a=b', { headers: { ...headers, 'content-type': 'text/plain' } }),
      ],
      [
        415,
        await app
          .client()
          .post('/v1/auth/login', '{}', { headers: { ...headers, 'content-encoding': 'br' } }),
      ],
      [429, await alice.get('/v1/probe/flags', { headers })],
      [500, await failing(new Error('select secret'))],
      [503, await failing(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }))],
    ];
    for (const [status, answer] of answers) {
      expect(answer).toMatchObject({
        status,
        body: { status, code: expect.any(String), requestId: answer.headers['x-request-id'] },
        headers: {
          ...STANDARD,
          'content-type': 'application/problem+json; charset=utf-8',
          'access-control-allow-origin': ORIGIN,
        },
      });
      expect(answer.text).not.toContain('secret');
      for (const name of ['x-powered-by', 'server']) expect(answer.headers).not.toHaveProperty(name);
    }
  });
});

describe('a connection', () => {
  let app: TestApp;
  let port: number;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    app = await startApp({ env: { REQUEST_TIMEOUT: '900ms', MAX_CONNECTIONS: '3', REDIS_URL: undefined } });
    await app.app.listen(0, '127.0.0.1');
    port = Number(new URL(await app.app.getUrl()).port);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  afterAll(() => app.close());

  /** The bytes that arrive before the server closes the connection. */
  async function answerTo(bytes: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket.on('data', (data) => (text += data.toString('latin1'))).on('error', () => undefined);
    socket.write(bytes);
    // A reset is no failure here.
    await new Promise((closed) => socket.on('close', closed));
    return text;
  }

  it.each([
    ['its headers', 'POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    [
      'its body',
      'POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    ],
  ])('is closed when a client takes too long over %s [HTTP-07]', async (_what, bytes) => {
    const text = await answerTo(bytes);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('content-type: application/problem+json');
    expect(text).toContain('x-content-type-options: nosniff');
    expect(text).toContain('"status":408');
  });

  it('from a page of any other origin gets no CORS headers, where no origin is trusted [CSR-08]', async () => {
    for (const origin of [ORIGIN, ...OTHERS]) {
      const { headers } = await app.client().get('/health/live', { headers: { origin } });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  it('is refused when there are too many, and accepted again when one ends [HTTP-07]', async () => {
    const held = await Promise.all(
      [1, 2, 3].map(async () => {
        const socket = connect(port, '127.0.0.1');
        sockets.push(socket);
        await once(socket, 'connect');
        return socket;
      }),
    );
    const live = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    expect(await answerTo(live)).toBe('');
    held[0]!.write(live);
    await once(held[0]!.resume(), 'close');
    expect(await answerTo(live)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** Real: an instance over HTTP, PostgreSQL. */
describe('an answer', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { REDIS_URL: undefined } });
  });
  afterAll(() => app.close());

  it('that sets, clears or refuses credentials may not be stored [REF-12, HTTP-03]', async () => {
    const [browser, native] = [app.client(), app.client()];
    const changed = { currentPassword: PASSWORD, newPassword: 'the kettle sings at noon' };
    const answers: [number, Answer][] = [
      [200, await browser.login(ALICE.email, PASSWORD)],
      [200, await native.login(ALICE.email, PASSWORD, { transport: 'bearer' })],
      [200, await browser.refresh()],
      [200, await native.refresh()],
      [200, await browser.post('/v1/auth/reauthenticate', { password: PASSWORD })],
      [202, await app.client().post('/v1/auth/register', { email: 'new@example.com', password: PASSWORD })],
      [202, await app.client().post('/v1/auth/password/forgot', { email: ALICE.email })],
      [204, await native.post('/v1/auth/password/change', changed)],
      [204, await native.post('/v1/auth/logout')],
      [401, await native.refresh()],
      [401, await app.client().login(ALICE.email, 'not her password')],
      [401, await app.client().post('/v1/auth/refresh', { refreshToken: 'x' })],
      [400, await app.client().post('/v1/auth/password/reset', { token: 'x', newPassword: PASSWORD })],
    ];
    for (const [status, answer] of answers) expect(answer).toMatchObject({ status, headers: STANDARD });
  });

  it('on health reports readiness, and no version or component [OPS-06, HTTP-04]', async () => {
    const [live, ready] = [await app.client().get('/health/live'), await app.client().get('/health/ready')];
    expect(live.body).toEqual({ status: 'ok' });
    const parts = { postgres: 'ok', cache: 'ok', revocationFeed: 'ok', clock: 'ok' };
    expect(ready.body).toEqual({ status: 'ok', ...parts });
    for (const { headers } of [live, ready]) {
      expect(JSON.stringify(headers)).not.toMatch(/fastify|nest|node|\d+\.\d+\.\d+/i);
      expect(JSON.stringify(headers)).not.toMatch(new RegExp(`\\b${PRODUCT.slug}\\b`, 'i'));
    }
  });
});

/** Real: an instance over HTTP, PostgreSQL, Redis. */
describeWithRedis('in production', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startApp({
      env: {
        NODE_ENV: 'production',
        KEYS_FILE: 'those of the test',
        RATE_LIMITS: 'on',
        TRUSTED_PROXIES: '127.0.0.1',
      },
    });
  });
  afterAll(() => app.close());

  it('a request over plain HTTP is refused, whatever it carries, and not redirected [HTTP-01]', async () => {
    for (const path of ['/v1/auth/login', '/v1/users/me', '/nowhere']) {
      for (const protocol of ['http', 'HTTP', 'http, https']) {
        const headers = { 'x-forwarded-proto': protocol };
        const answer = await app.client().request(path.includes('login') ? 'POST' : 'GET', path, { headers });
        expect(answer).toMatchObject({ status: 403, body: { code: 'request.insecure' }, headers: STANDARD });
        expect(answer.headers).not.toHaveProperty('location');
      }
      for (const headers of [{}, { 'x-forwarded-proto': 'https' }] as Record<string, string>[]) {
        expect((await app.client().get(path, { headers })).body.code).not.toBe('request.insecure');
      }
    }
  });

  it('metrics are closed as long as there is no METRICS_TOKEN [OPS-06]', async () => {
    expect(await app.client().get('/metrics')).toMatchObject({ status: 404 });
  });
});
