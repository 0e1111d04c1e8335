import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resetStores } from '../../../test/support/app.js';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { eventually, Gate } from '../../../test/support/waiting.js';
import { BodyNotReplayable, createClient } from '../src/index.js';
import {
  EXPIRY,
  FLAGS,
  heal,
  loggedIn,
  REFRESH,
  SESSION,
  startServer,
  Tab,
  type TestServer,
} from './support.js';

const PAYMENTS = '/v1/probe/payments';
const PAYMENT = JSON.stringify({ amount: 100, currency: 'EUR', recipient: 'Bob' });
const bytes = new TextEncoder().encode(PAYMENT);
let keys = 0;
const payment = (body: RequestInit['body']) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', 'idempotency-key': `key-${++keys}` },
  body,
});
const stream = () => new Blob([PAYMENT]).stream();

/** Real: the server, its stores, the sockets between. Controlled: the server's clock. */
describe('a call by cookie', () => {
  it('needs to know no name of a cookie: a server with COOKIE_PREFIX is called, refreshed and logged out of', async () => {
    await resetStores();
    const server = await startServer({ env: { COOKIE_PREFIX: 'shop' } });
    const tab = await loggedIn(server, { transport: 'cookie' });
    await tab.expectAlive();
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
    expect([...tab.jar.cookies.keys()].sort()).toEqual([
      '__Host-shop-access',
      '__Host-shop-device',
      '__Host-shop-refresh',
    ]);
    await tab.client.logout();
    expect([...tab.jar.cookies.keys()]).toEqual(['__Host-shop-device']);
    await server.close();
  });
});

/** Real: the server, its stores, the sockets between. Controlled: both clocks, the network's faults. */
describe('a call', () => {
  let server: TestServer;
  let network: FaultProxy;
  let tab: Tab;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
    network = await FaultProxy.before(server.url);
  });
  afterAll(async () => {
    await network.close();
    await server.close();
  });
  beforeEach(async () => {
    tab = await loggedIn(network, { transport: 'bearer' });
    for (const path of [PAYMENTS, FLAGS, SESSION, REFRESH]) server.arrived(path);
  });

  afterEach(() => heal(network));

  describe('whose access token has expired', () => {
    beforeEach(() => server.clock.advance(EXPIRY));

    it.each<[string, () => RequestInit['body']]>([
      ['text', () => PAYMENT],
      ['bytes', () => bytes],
      ['a buffer', () => bytes.buffer],
      ['a blob', () => new Blob([PAYMENT])],
    ])('is repeated with the same body: %s', async (_name, body) => {
      expect(await tab.status(PAYMENTS, payment(body()))).toBe(201);
      expect(server.arrived(PAYMENTS)).toBe(2);
    });

    it('is repeated as the same `Request`', async () => {
      const request = new Request(`${network.url}v1/probe/payments`, payment(PAYMENT));
      expect((await tab.client.fetch(request)).status).toBe(201);
      expect(request.bodyUsed).toBe(false);
    });

    it('reports that a stream cannot be sent again, and succeeds with a new stream', async () => {
      const init = () => ({ ...payment(stream()), duplex: 'half' }) as RequestInit;
      await expect(tab.status(PAYMENTS, init())).rejects.toThrow(BodyNotReplayable);
      expect(await tab.status(PAYMENTS, init())).toBe(201);
      expect(server.arrived(REFRESH)).toBe(1);
    });

    it('waits for a refresh that is due before it reads a stream', async () => {
      tab.time.advance(EXPIRY);
      const init = { ...payment(stream()), duplex: 'half' } as RequestInit;
      expect(await tab.status(PAYMENTS, init)).toBe(201);
      expect(server.arrived(PAYMENTS)).toBe(1);
    });

    it('can be aborted, and the refresh that other calls wait for continues', async () => {
      const gate = new Gate();
      const slow = new Tab(network, {
        transport: 'bearer',
        beside: tab,
        via: (send) => async (input, init) => {
          if (String(input).endsWith(REFRESH)) await gate.opened;
          return send(input, init);
        },
      });
      const giver = new AbortController();
      const given = slow.status(SESSION, { signal: giver.signal });
      const patient = slow.status(FLAGS);
      await eventually(() => expect(server.arrived(SESSION) + server.arrived(FLAGS)).toBeGreaterThan(0));
      giver.abort(new Error('never mind'));
      await expect(given).rejects.toThrow('never mind');
      gate.open();
      expect(await patient).toBe(200);
      expect(server.arrived(REFRESH)).toBe(1);
    });

    it('handles a refused HEAD, whose response has no body', async () => {
      expect(await tab.status(FLAGS, { method: 'HEAD' })).toBe(200);
    });
  });

  it('that was aborted before it began sends nothing', async () => {
    const signal = AbortSignal.abort(new Error('never mind'));
    await expect(tab.status(FLAGS, { signal })).rejects.toThrow('never mind');
    expect(server.arrived(FLAGS)).toBe(0);
  });

  it('that reads is repeated when its answer is lost, and a call that writes is not', async () => {
    let lost = network.loseAnswerTo(FLAGS);
    expect(await tab.status(FLAGS)).toBe(200);
    await lost;
    expect(server.arrived(FLAGS)).toBe(2);
    lost = network.loseAnswerTo(PAYMENTS);
    await expect(tab.status(PAYMENTS, payment(PAYMENT))).rejects.toThrow('fetch failed');
    await lost;
    expect(server.arrived(PAYMENTS)).toBe(1);
  });

  it('that reads is tried three times offline, or once if requested, and rejects with the platform’s error', async () => {
    network.cut();
    await expect(tab.status(FLAGS)).rejects.toThrow('fetch failed');
    expect(tab.time.pauses).toEqual([375, 750]);
    const once = new Tab(network, { transport: 'bearer', beside: tab, retries: 0 });
    await expect(once.status(FLAGS)).rejects.toThrow('fetch failed');
    expect(once.time.pauses).toEqual([]);
    await heal(network);
    await tab.expectAlive();
  });

  it('can be aborted during a pause', async () => {
    network.cut();
    tab.time.holding = true;
    const giver = new AbortController();
    const call = tab.status(FLAGS, { signal: giver.signal });
    await eventually(() => expect(tab.time.waiting).toEqual([375]));
    giver.abort(new Error('never mind'));
    await expect(call).rejects.toThrow('never mind');
    expect(tab.time.waiting).toEqual([]);
  });

  it.each([
    'https://elsewhere.example/v1/sessions',
    '//elsewhere.example',
    'v1/sessions',
    '.elsewhere.example/',
  ])('to %s is sent without our tokens', async (target) => {
    const sent: string[] = [];
    const client = createClient({
      baseUrl: 'https://api.example.com',
      transport: 'bearer',
      fetch: async (input) => Response.json({}, { headers: { x: String(sent.push(String(input))) } }),
    });
    await client.fetch(target).catch((error: unknown) => expect(error).toBeInstanceOf(TypeError));
    for (const url of sent) expect(new URL(url).host).toBe('api.example.com');
  });

  it('needs an absolute http(s) base URL', () => {
    for (const baseUrl of ['', '/api', 'api.example.com', 'ftp://api.example.com', 'https://'])
      expect(() => createClient({ baseUrl, transport: 'bearer' })).toThrow(TypeError);
  });
});

/** Real: sockets. The server is a stand-in whose load the test sets. */
describe('a busy server', () => {
  let server: Server;
  let answers: [status: number, retryAfter?: string][];
  let arrived: number;
  let tab: Tab;

  beforeAll(async () => {
    server = createServer((_request, response) => {
      const [status, retryAfter] = answers[arrived++] ?? [200];
      response.writeHead(status, retryAfter ? { 'retry-after': retryAfter } : {}).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => void server.close());
  beforeEach(() => {
    arrived = 0;
    const { port } = server.address() as AddressInfo;
    tab = new Tab({ url: `http://127.0.0.1:${port}` }, { transport: 'bearer' });
  });

  it('is called again after its Retry-After, if that is not too long', async () => {
    answers = [
      [503, '2'],
      [429, new Date(Date.now() + 5_000).toUTCString()],
    ];
    expect(await tab.status('/')).toBe(200);
    expect(tab.time.pauses[0]).toBe(2_375);
    expect(tab.time.pauses[1]).toBeGreaterThan(750 + 2_000);
    expect(tab.time.pauses[1]).toBeLessThanOrEqual(750 + 5_000);
  });

  it('is waited for at most 10 s, and only a limited number of times', async () => {
    answers = [[429, '60']];
    expect(await tab.status('/')).toBe(429);
    answers = Array.from({ length: 9 }, () => [503, '1']);
    arrived = 0;
    expect(await tab.status('/')).toBe(503);
    expect(arrived).toBe(3);
  });

  it('gets a call that writes only once', async () => {
    answers = Array.from({ length: 9 }, () => [503, '1']);
    expect(await tab.status('/', { method: 'POST' })).toBe(503);
    expect(arrived).toBe(1);
  });
});
