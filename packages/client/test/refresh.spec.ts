import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { resetStores, TEST_KEYS } from '../../../test/support/app.js';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { eventually, Gate } from '../../../test/support/waiting.js';
import { AuthUnavailable, memoryStorage, type Tokens } from '../src/index.js';
import {
  EXPIRY,
  FLAGS,
  heal,
  loggedIn,
  REFRESH,
  SESSION,
  startServer,
  Tab,
  TRANSPORTS,
  type TestServer,
} from './support.js';

const GRACE = 10_000;

/** Real: the server, its stores, the sockets between. Controlled: both clocks, chance, the network's faults. */
describe.each(TRANSPORTS)('the client refreshes, by %s', (transport) => {
  let toPostgres: FaultProxy;
  let server: TestServer;
  let network: FaultProxy;
  let tab: Tab;

  beforeAll(async () => {
    await resetStores();
    toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    server = await startServer({ env: { DATABASE_URL: toPostgres.url } });
    network = await FaultProxy.before(server.url);
  });
  afterAll(async () => {
    await network.close();
    await server.close();
    await toPostgres.close();
  });
  beforeEach(async () => {
    tab = await loggedIn(network, { transport });
    server.arrived(REFRESH);
  });

  afterEach(async () => {
    toPostgres.heal();
    await heal(network);
  });

  it('never while the access token is good', async () => {
    await tab.expectAlive();
    expect(server.arrived(REFRESH)).toBe(0);
  });

  it('once for twenty calls at once, and each is answered', async () => {
    for (let expiry = 0; expiry < 3; expiry++) {
      server.clock.advance(EXPIRY);
      const calls = Array.from({ length: 20 }, (_, index) => tab.status(index % 2 ? FLAGS : SESSION));
      expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
      expect(server.arrived(REFRESH)).toBe(1);
    }
    await tab.expectAlive();
  });

  it('only once if another call is refused after the refresh has finished', async () => {
    const late = new Gate();
    const slow = new Tab(network, {
      transport,
      beside: tab,
      via: (send) => async (input, init) => {
        const response = await send(input, init);
        if (String(input).endsWith(SESSION) && response.status === 401) await late.opened;
        return response;
      },
    });
    server.clock.advance(EXPIRY);
    const call = slow.status(SESSION);
    await eventually(() => expect(server.arrived(SESSION)).toBe(1));
    expect(await slow.status(FLAGS)).toBe(200);
    late.open();
    expect(await call).toBe(200);
    expect(server.arrived(REFRESH)).toBe(1);
  });

  it('R2: with the same tokens whenever an answer is lost', async () => {
    for (let expiry = 0; expiry < 3; expiry++) {
      server.clock.advance(EXPIRY);
      const lost = network.loseAnswerTo(REFRESH);
      expect(await tab.status(SESSION)).toBe(200);
      await lost;
      expect(server.arrived(REFRESH)).toBe(2);
    }
    await tab.expectAlive();
  });

  it('again when no answer has arrived within a third of the grace', async () => {
    server.clock.advance(EXPIRY);
    let calls = 0;
    const hanging = new Tab(network, {
      transport,
      beside: tab,
      via: (send) => (input, init) => {
        if (String(input).endsWith(REFRESH) && ++calls === 1) network.stall();
        return send(input, init);
      },
    });
    const call = hanging.status(SESSION);
    await eventually(() => expect(calls).toBe(1));
    const limit = Math.min(...hanging.time.waiting);
    expect(limit).toBeLessThanOrEqual(GRACE / 3);
    hanging.time.skip(limit);
    await eventually(() => expect(calls).toBe(2));
    network.heal();
    expect(await call).toBe(200);
    await hanging.expectAlive();
  });

  it('S3: a few times while PostgreSQL is down, reports a temporary failure to all calls, and recovers', async () => {
    server.clock.advance(EXPIRY);
    toPostgres.cut();
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => tab.status(SESSION)));
    expect(calls.map((call) => call.status === 'rejected' && call.reason)).toEqual(
      Array(5).fill(expect.any(AuthUnavailable)),
    );
    expect(server.arrived(REFRESH)).toBe(4);
    // The server's Retry-After of a second, plus half of a random share of the doubling delay each time.
    expect(tab.time.pauses).toEqual([1_375, 1_750, 2_500]);
    toPostgres.heal();
    await eventually(() => tab.expectAlive());
  });

  it('and reports a temporary failure offline, and recovers with the network', async () => {
    server.clock.advance(EXPIRY);
    const offline = new Tab(network, {
      transport,
      beside: tab,
      via: (send) => async (input, init) => {
        if (String(input).endsWith(REFRESH)) network.cut();
        return send(input, init);
      },
    });
    await expect(offline.status(SESSION)).rejects.toThrow(AuthUnavailable);
    expect(offline.told).toEqual([]);
    await heal(network);
    await tab.expectAlive();
  });

  it.each<[string, () => Response]>([
    ['a login page of the hotel', () => new Response('<h1>Welcome</h1>', { status: 200 })],
    ['a proxy that wants a login of its own', () => new Response('Unauthorized', { status: 401 })],
    ['JSON of another server', () => Response.json({ code: 'E1' }, { status: 401 })],
    ['an empty grant', () => Response.json({})],
    [
      'a rate limit',
      () =>
        Response.json(
          { code: 'request.rate_limited', requestId: 'x' },
          { status: 429, headers: { 'retry-after': '2' } },
        ),
    ],
    ['a gateway without its backend', () => new Response('', { status: 502 })],
  ])('and %s does not end the session', async (_name, answer) => {
    server.clock.advance(EXPIRY);
    let foreign = 5;
    const abroad = new Tab(network, {
      transport,
      beside: tab,
      via: (send) => async (input, init) =>
        String(input).endsWith(REFRESH) && foreign-- > 0 ? answer() : send(input, init),
    });
    await expect(abroad.status(SESSION)).rejects.toThrow('the server answered'); // four answers of the stranger
    expect(await abroad.status(SESSION)).toBe(200); // and one
    await abroad.expectAlive();
  });

  it('beside the call in the last tenth of a token’s life, if it knows that lifetime', async () => {
    await tab.expectAlive();
    server.arrived(FLAGS);
    tab.time.advance(14 * 60_000);
    expect(await tab.status(FLAGS)).toBe(200);
    await eventually(() => expect(server.arrived(REFRESH)).toBe(1));
    await tab.expectAlive();
    expect([server.arrived(FLAGS), server.arrived(REFRESH)]).toEqual([2, 0]); // none was refused
  });

  it('only on refusal when refreshing ahead is switched off', async () => {
    const patient = await loggedIn(network, { transport, refreshAhead: false });
    patient.time.advance(60 * 60_000);
    await patient.expectAlive();
    expect(server.arrived(REFRESH)).toBe(0);
  });
});

describe('the client refreshes', () => {
  let server: TestServer;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
  });
  afterAll(() => server.close());

  it('when the key of its access token has been retired', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const renewed = await startServer({
      keys: { ...TEST_KEYS, signing: [{ kid: 'new', privateKey }] },
      env: { REDIS_URL: process.env['TEST_REDIS_URL'] },
    });
    const after = new Tab(renewed, { transport: 'bearer', beside: tab });
    await after.expectAlive();
    expect(renewed.arrived(REFRESH)).toBe(1);
    await renewed.close();
  });

  it('and stores the new tokens before it uses them', async () => {
    const [writing, written] = [new Gate(), new Gate()];
    const memory = memoryStorage();
    let refreshed = false;
    let sent = 0;
    const storage = {
      get: () => memory.get(),
      set: async (tokens: Tokens) => {
        if (refreshed) writing.open();
        if (refreshed) await written.opened;
        await memory.set(tokens);
      },
    };
    const tab = await loggedIn(server, {
      transport: 'bearer',
      storage,
      via: (send) => (input, init) => {
        if (String(input).endsWith(SESSION)) sent++;
        return send(input, init);
      },
    });
    refreshed = true;
    server.clock.advance(EXPIRY);
    const call = tab.status(SESSION);
    await writing.opened;
    await new Promise((nextTurn) => setImmediate(nextTurn));
    expect(sent).toBe(1);
    written.open();
    expect([await call, sent]).toEqual([200, 2]);
  });

  it('once more with its old tokens when the new ones cannot be stored', async () => {
    const memory = memoryStorage();
    let locked = 0;
    const storage = {
      get: () => memory.get(),
      set(tokens: Tokens) {
        if (locked-- > 0) throw new Error('the keychain is locked');
        return memory.set(tokens);
      },
    };
    const tab = await loggedIn(server, { transport: 'bearer', storage });
    server.clock.advance(EXPIRY);
    locked = 2;
    await tab.expectAlive();
    locked = 9;
    server.clock.advance(EXPIRY);
    await expect(tab.status(SESSION)).rejects.toThrow(AuthUnavailable);
    locked = 0;
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
  });

  it('and keeps its device token permanently', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' });
    const { deviceToken } = tab.tokens;
    expect(deviceToken).toMatch(/^[\w-]{43}$/);
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
    expect(tab.tokens.deviceToken).toBe(deviceToken);
    await tab.client.logout();
    expect(tab.tokens).toEqual({ deviceToken });
  });
});
