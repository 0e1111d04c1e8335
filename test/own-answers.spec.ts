import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuseDemoUsers } from '../src/seeds.js';
import { ADMIN, ALICE, BOB, resetStores, startApp, type TestApp } from './support/app.js';

/** Real: an instance over sockets and over HTTP, PostgreSQL, the hasher. */

let app: TestApp;
let port: number;
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-own-answers-'));
const sockets: Socket[] = [];

beforeAll(async () => {
  await resetStores();
  app = await startApp({
    env: {
      NODE_ENV: 'development',
      DATA_DIR: folder,
      API_DOCS: 'true',
      APP_URL: 'https://App.example.com:8443',
      REDIS_URL: undefined,
    },
  });
  await app.app.listen(0, '127.0.0.1');
  port = Number(new URL(await app.app.getUrl()).port);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true });
});

/** All bytes of the answer before the connection is closed. */
async function answerTo(...lines: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1'))).on('error', () => undefined);
  socket.write([...lines, 'Connection: close', '', ''].join('\r\n'));
  await once(socket, 'close');
  return text;
}

describe('a request that Node.js would answer by itself gets a problem with the headers of all answers', () => {
  it.each<[string, number, string[]]>([
    ['Expect: x', 417, ['GET /health/live HTTP/1.1', 'Host: localhost', 'Expect: x']],
    ['Expect: 200-ok on a POST', 417, ['POST /v1/auth/login HTTP/1.1', 'Host: localhost', 'Expect: 200-ok']],
    ['Expect: x on an unknown path', 417, ['GET /nowhere HTTP/1.1', 'Host: localhost', 'Expect: x']],
    ['no Host', 400, ['GET /health/live HTTP/1.1']],
    ['two Hosts', 400, ['GET /health/live HTTP/1.1', 'Host: localhost', 'host: localhost']],
    ['a Host twice in HTTP/1.0', 400, ['GET /health/live HTTP/1.0', 'Host: a', 'Host: b']],
    ['CONNECT', 405, ['CONNECT localhost:1 HTTP/1.1', 'Host: localhost']],
    ['TRACE', 405, ['TRACE /health/live HTTP/1.1', 'Host: localhost']],
    ['an unknown method', 400, ['FOO / HTTP/1.1', 'Host: localhost']],
    ['an unknown version', 400, ['GET / HTTP/3.7', 'Host: localhost']],
    ['an Upgrade on an unknown path', 404, ['GET /nowhere HTTP/1.1', 'Host: localhost', 'Upgrade: h2c']],
  ])('%s: %d [HTTP-05]', async (_what, status, lines) => {
    const [head, body] = (await answerTo(...lines)).split('\r\n\r\n') as [string, string];
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    for (const header of [
      'content-type: application/problem\\+json',
      'x-content-type-options: nosniff',
      'cache-control: no-store',
    ])
      expect(head).toMatch(new RegExp(`\\r\\n${header}`, 'i'));
    expect(JSON.parse(body)).toMatchObject({
      status,
      code: expect.stringMatching(/^re/),
      requestId: expect.any(String),
    });
  });

  it.each([
    [
      'Expect: 100-continue',
      'GET /health/live HTTP/1.1',
      ['Host: localhost', 'Expect: 100-Continue'],
      /HTTP\/1\.1 200 /,
    ],
    ['no Host in HTTP/1.0', 'GET /health/live HTTP/1.0', [], /^HTTP\/1\.1 200 /],
    [
      'an Upgrade',
      'GET /health/live HTTP/1.1',
      ['Host: localhost', 'Upgrade: websocket'],
      /^HTTP\/1\.1 200 /,
    ],
  ])('%s is no error', async (_what, line, headers, answer) => {
    expect(await answerTo(line, ...headers)).toMatch(answer);
  });
});

describe('the page of the API', () => {
  it('is served with the files that it loads', async () => {
    const page = await app.client().get('/docs');
    const files = [...page.text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThanOrEqual(6);
    for (const file of files) {
      const { pathname } = new URL(file, 'http://localhost/docs');
      expect((await app.client().get(pathname)).status).toBe(200);
    }
  });

  it('refuses LICENSE, for which Nest has a route of its own', async () => {
    expect((await app.client().get('/docs/LICENSE')).status).toBeGreaterThanOrEqual(400);
  });

  it.each([
    '/docs/package.json',
    '/docs/%70ackage.json',
    '/%64ocs/package.json',
    '/docs//package.json',
    '/docs/./package.json',
    '/docs/README.md',
    '/docs/NOTICE',
    '/docs/index.js',
    '/docs/absolute-path.js',
    '/docs/oauth2-redirect.html',
    '/docs/swagger-initializer.js',
    '/docs/swagger-ui-bundle.js.map',
    '/docs/swagger-ui.css/',
  ])('is served without %s', async (path) => {
    expect(await app.client().get(path)).toMatchObject({
      status: 404,
      headers: { 'content-type': 'application/problem+json; charset=utf-8' },
    });
  });
});

describe('a route that is open in development', () => {
  const PATHS = ['/dev/mails', '/%64ev/mails', '/docs', '/docs/swagger-ui.css', '/openapi.json', '/metrics'];

  it.each([
    'localhost',
    'localhost:3000',
    'LocalHost:3000',
    'localhost.',
    'app.localhost:3000',
    '127.0.0.1:3000',
    '127.0.0.2',
    '[::1]:3000',
    'app.example.com',
    'APP.example.com:8443',
    'app.example.com.:8443',
  ])('answers under the host name %s', async (host) => {
    for (const path of PATHS) {
      expect((await app.client().get(path, { headers: { host } })).status).toBe(200);
    }
  });

  it.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    'evil-localhost',
    'localhost@evil.example',
    'app.example.com.evil.example',
    'xapp.example.com',
    'example.com',
    '127.0.0.1.evil.example',
    '0.0.0.0:3000',
    '192.168.1.7:3000',
    '10.0.0.1',
    '[::]',
    'localhost, evil.example',
    ' ',
  ])('refuses the host name %j, which may be that of an attacker', async (host) => {
    for (const path of PATHS) {
      const answer = await app.client().get(path, { headers: { host, 'x-forwarded-host': 'localhost' } });
      expect(answer).toMatchObject({ status: 403, body: { code: 'request.cross_site' } });
    }
  });
});

describe('a production instance whose database has seeded demo users', () => {
  it('is refused with the names of the users whose password is public, and with the remedy', async () => {
    await expect(refuseDemoUsers(app.app)).rejects.toThrow(
      /DATABASE_URL .*: admin@example\.com, alice@example\.com, bob@example\.com\.\n.*update users set password_hash = '!' where/,
    );
    // By its id, also under another address.
    await app.query(`update users set email = 'boss@example.org' where id = $1`, [ADMIN.id]);
    await app.query(`update users set password_hash = '!' where id = $1`, [BOB.id]);
    const refusal = await refuseDemoUsers(app.app).catch((error: Error) => error.message);
    expect(refusal).toMatch(/: alice@example\.com, boss@example\.org\./);
    await app.query(
      refusal!
        .split(': ')
        .at(-1)!
        .replace(/^.*?(update users .*)$/s, '$1'),
    );
    await expect(refuseDemoUsers(app.app)).resolves.toBeUndefined();
  });

  it('is accepted when a real user has a demo address with a password of their own', async () => {
    await resetStores();
    const password = 'the kettle sings at noon';
    await app.client().post('/v1/auth/register', { email: ALICE.email, password });
    expect(await app.query('select email from users')).toEqual([{ email: ALICE.email }]);
    await expect(refuseDemoUsers(app.app)).resolves.toBeUndefined();
  });
});
