import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Connections } from '../../src/platform/http/connections.js';
import { startApp, type TestApp } from '../../test/support/app.js';
import { SteadyClock, type TestClock } from '../../test/support/clock.js';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: an instance over sockets, PostgreSQL. The clients keep their half of a connection open for as long as they
 * can.
 */

const MAX_CONNECTIONS = 20;
const request = (line: string, ...headers: string[]) =>
  [line, 'Host: localhost', ...headers, '', ''].join('\r\n');
const LIVE = request('GET /health/live HTTP/1.1');
const LAST = request('GET /health/live HTTP/1.1', 'Connection: close');

let app: TestApp;
let port: number;
const sockets: Socket[] = [];

beforeAll(() => start({ REQUEST_TIMEOUT: '300ms' }));
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => app.close());

async function start(env: Record<string, string>, clock?: TestClock): Promise<void> {
  const own = { MAX_CONNECTIONS: `${MAX_CONNECTIONS}`, REDIS_URL: undefined, API_DOCS: 'true' };
  app = await startApp({ env: { ...own, ...env }, clock });
  await app.app.listen(0, '127.0.0.1');
  port = Number(new URL(await app.app.getUrl()).port);
}

/** A client that does not close its half when the server has closed the other. */
async function open({ reads = true } = {}): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return reads ? socket.resume() : socket;
}

/** A client that does not read yet, and the server's side of its connection. */
async function openWatched(): Promise<{ socket: Socket; served: Socket }> {
  const accepted = once(app.app.getHttpServer(), 'connection');
  const socket = await open({ reads: false });
  const [served] = (await accepted) as [Socket];
  return { socket, served };
}

/** The whole answer to a new client; empty when its connection is refused. */
async function answerToNewClient(bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1'))).on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

describe('clients that keep every connection open let the next client connect after', () => {
  it.each<[string, string]>([
    ['they send nothing', ''],
    ['they send one byte', 'G'],
    ['they send a line break', '\r\n'],
    ['they send half of the headers', 'POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    [
      'they send half of a body',
      `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 100')}{`,
    ],
    [
      'they send half of a body that the server has refused',
      `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: text/plain', 'Content-Length: 100')}{`,
    ],
    [
      'they send half of a chunk',
      `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}5\r\n{`,
    ],
    ['they send no HTTP', 'hello\r\n\r\n'],
    ['they greet in TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['they send too many headers', request('GET /health/live HTTP/1.1', `X-A: ${'a'.repeat(20_000)}`)],
    ['they send no Host', 'GET /health/live HTTP/1.1\r\n\r\n'],
    ['they send the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['their request was answered and was the last one', LAST],
    ['their request was of HTTP/1.0', 'GET /health/live HTTP/1.0\r\n\r\n'],
    ['their request was answered', LIVE],
    ['they ask for a tunnel', request('CONNECT localhost:1 HTTP/1.1')],
    [
      'they ask for a WebSocket',
      request('GET /health/live HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'),
    ],
    ['they send an unsupported expectation', request('GET /health/live HTTP/1.1', 'Expect: x')],
    [
      'they wait for leave to send a body',
      request('POST /v1/auth/login HTTP/1.1', 'Content-Length: 9', 'Expect: 100-continue'),
    ],
    [
      'they send a chunk with a long extension',
      `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}1;${'a'.repeat(20_000)}\r\n`,
    ],
  ])('%s [HTTP-07]', async (_what, bytes) => {
    for (const socket of await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => open()))) {
      socket.write(bytes, 'latin1');
    }
    await eventually(async () => expect(await answerToNewClient(LAST)).toMatch(/^HTTP\/1\.1 200 /));
  });

  it('they read none of the answers that they ask for [HTTP-07]', async () => {
    const held = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => open({ reads: false })));
    for (const socket of held) socket.write(request('GET /openapi.json HTTP/1.1').repeat(25));
    await eventually(async () => expect(await answerToNewClient(LAST)).toMatch(/^HTTP\/1\.1 200 /));
  });

  it('they end their half before they read the answers [HTTP-07]', async () => {
    const held = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => open({ reads: false })));
    for (const socket of held) socket.end(request('GET /openapi.json HTTP/1.1').repeat(25));
    await eventually(async () => expect(await answerToNewClient(LAST)).toMatch(/^HTTP\/1\.1 200 /));
  });
});

it('a client that reads none of its answers is disconnected while other connections are free [HTTP-07]', async () => {
  await eventually(() => expect(app.get(Connections).count).toBe(0));
  const { socket, served } = await openWatched();
  socket.write(request('GET /openapi.json HTTP/1.1').repeat(25));
  // The answers fill the buffers of both sides.
  await eventually(() => expect(served.writableLength > 0 || served.destroyed).toBe(true));
  await eventually(() => expect(app.get(Connections).count).toBe(0));
});

describe('a client whose request is refused', () => {
  // The server waits as long as the client needs, however slow the machine is.
  beforeAll(async () => {
    await app.close();
    await start({}, new SteadyClock());
  });

  it.each<[number, string, string]>([
    [431, 'headers', `GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(2_000_000)}`],
    [400, 'noise', `${'hello '.repeat(300_000)}\r\n\r\n`],
    [
      413,
      'chunk extensions',
      `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}1;${'a'.repeat(2_000_000)}`,
    ],
  ])('reads the %d although it still sends %s [HTTP-05, HTTP-06]', async (status, _what, bytes) => {
    const { socket, served } = await openWatched();
    let text = '';
    const ended = once(socket, 'end'); // rejects when the connection is reset
    socket.write(bytes, 'latin1');
    await eventually(() => expect(served.destroyed || served.bytesRead === bytes.length).toBe(true));
    expect(served.destroyed).toBe(false);
    socket.on('data', (data) => (text += data.toString('latin1')));
    await ended;
    const [head, body] = text.split('\r\n\r\n') as [string, string];
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head).toContain('x-content-type-options: nosniff');
    expect(JSON.parse(body)).toMatchObject({ status, code: expect.stringMatching(/^request\./) });
  });

  it('reads a problem when it asks for a tunnel [HTTP-05]', async () => {
    const answer = await answerToNewClient(request('CONNECT localhost:1 HTTP/1.1'));
    expect(answer).toMatch(/^HTTP\/1\.1 405 [^]*\r\nallow: \r\n[^]*"code":"request\.method"/);
  });
});
