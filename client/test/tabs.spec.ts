import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ALICE, BOB, PASSWORD, resetStores } from '../../test/support/app.js';
import { eventually, Gate } from '../../test/support/waiting.js';
import { localLocks, type Locks } from '../src/locks.js';
import {
  EXPIRY,
  FLAGS,
  loggedIn,
  REFRESH,
  SESSION,
  startServer,
  Tab,
  TRANSPORTS,
  type TabOptions,
  type TestServer,
} from './support.js';

const WHOAMI = '/v1/auth/whoami';
const ROUNDS = 50;

/** Lets nobody through before so many are there, time and again. */
class Barrier {
  private gate = new Gate();
  private there = 0;

  constructor(private readonly size: number) {}

  async pass(): Promise<void> {
    const { gate } = this;
    if (++this.there === this.size) {
      this.there = 0;
      this.gate = new Gate();
      gate.open();
    }
    await gate.opened;
  }
}

const onRefresh =
  (wait: () => Promise<unknown>): TabOptions['via'] =>
  (send) =>
  async (input, init) => {
    if (String(input).endsWith(REFRESH)) await wait();
    return send(input, init);
  };

/** Real: the server, its stores, sockets, the channel between the tabs. Stood in for: the cookie jar, and Web Locks. */
describe.each(TRANSPORTS)('several tabs, by %s', (transport) => {
  let server: TestServer;
  let first: Tab;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    first = await loggedIn(server, { transport });
    for (const path of [REFRESH, WHOAMI]) server.arrived(path);
  });

  const tabs = (count: number, options: Partial<TabOptions> = {}) =>
    Array.from({ length: count }, () => new Tab(server, { transport, beside: first, ...options }));

  async function expire(all: Tab[]): Promise<void> {
    server.clock.advance(EXPIRY);
    const answers = await Promise.all(all.flatMap((tab) => [tab.status(FLAGS), tab.status(SESSION)]));
    expect(new Set(answers)).toEqual(new Set([200]));
  }

  it(`with locks refresh once for all, ${ROUNDS} times`, async () => {
    const all = tabs(2, { locks: localLocks() });
    for (let round = 0; round < ROUNDS; round++) await expire(all);
    expect(server.arrived(REFRESH)).toBe(ROUNDS);
    for (const tab of [...all, ...tabs(1)]) await tab.expectAlive();
  });

  it('with locks but deaf to each other refresh once for all', async () => {
    const all = tabs(4, {
      locks: localLocks(),
      channel: { addEventListener() {}, postMessage() {}, close() {} },
    });
    for (let round = 0; round < 5; round++) await expire(all);
    expect(server.arrived(REFRESH)).toBe(5);
    expect(server.arrived(WHOAMI)).toBe(transport === 'cookie' ? 15 : 0);
  });

  it(`R2: without locks refresh all at once, ${ROUNDS} times, and nobody is logged out`, async () => {
    const barrier = new Barrier(2);
    const all = tabs(2, { via: onRefresh(() => barrier.pass()) });
    for (let round = 0; round < ROUNDS; round++) await expire(all);
    expect(server.arrived(REFRESH)).toBe(2 * ROUNDS);
    for (const tab of [...all, ...tabs(1)]) await tab.expectAlive();
  });

  it.each<[string, () => Locks]>([
    ['whose locks are refused', () => ({ request: () => Promise.reject(new Error('SecurityError')) })],
    ['that have no locks', () => localLocks()],
  ])('%s refresh all the same', async (_name, locks) => {
    await expire(tabs(2, { locks: locks() }));
  });

  it('do not wait for ever for one that holds the lock and sleeps', async () => {
    const locks = localLocks();
    const asleep = new Gate();
    void locks.request('', {}, () => asleep.opened);
    const [tab] = tabs(1, { locks }) as [Tab];
    server.clock.advance(EXPIRY);
    const call = tab.status(SESSION);
    await eventually(() => expect(tab.time.waiting).toHaveLength(1));
    expect(server.arrived(REFRESH)).toBe(0);
    tab.time.skip(tab.time.waiting[0]!);
    expect(await call).toBe(200);
    asleep.open();
  });

  it('all end when one logs out, and all go on when the same person logs in again', async () => {
    const others = tabs(3);
    await expire(others); // and all know whose tabs they are
    await first.client.logout();
    for (const tab of [first, ...others]) {
      if (transport === 'bearer') await expect(tab.status(SESSION)).rejects.toThrow('logout');
      await eventually(() => expect(tab.told).toEqual([expect.objectContaining({ reason: 'logout' })]));
      await expect(tab.status(SESSION)).rejects.toThrow('logout');
    }
    await others[0]!.client.login({ email: ALICE.email, password: PASSWORD });
    await eventually(async () => {
      for (const tab of [first, ...others]) expect(await tab.status(SESSION)).toBe(200);
    });
  });

  it('a refresh that lands after another tab’s logout brings nobody back', async () => {
    const landing = new Gate();
    const [tab] = tabs(1, {
      via: (send) => async (input, init) => {
        const response = await send(input, init);
        if (String(input).endsWith(REFRESH)) await landing.opened;
        return response;
      },
    }) as [Tab];
    server.clock.advance(EXPIRY);
    const call = tab.status(SESSION);
    await eventually(() => expect(server.arrived(REFRESH)).toBe(1));
    await first.client.logout();
    if (transport === 'cookie') await eventually(() => expect(tab.told).toHaveLength(1));
    landing.open();
    await expect(call).rejects.toThrow('ended');
    expect(tab.told).toHaveLength(1);
    await expect(first.status(SESSION)).rejects.toThrow('logout');
    if (transport === 'bearer') expect(Object.keys(first.tokens)).toEqual(['deviceToken']);
  });

  it('a refresh that lands after another person’s login takes nothing from them', async () => {
    const landing = new Gate();
    const [tab] = tabs(1, {
      via: (send) => async (input, init) => {
        const response = await send(input, init);
        if (String(input).endsWith(REFRESH)) await landing.opened;
        return response;
      },
    }) as [Tab];
    await tab.expectAlive();
    server.clock.advance(EXPIRY);
    const call = tab.status(SESSION);
    await eventually(() => expect(server.arrived(REFRESH)).toBe(1));
    const other = await loggedIn(server, { transport, beside: first }, BOB);
    if (transport === 'cookie') await eventually(() => expect(tab.told).toHaveLength(1));
    landing.open();
    await expect(call).rejects.toThrow('replaced');
    await other.expectAlive();
    expect(tab.told).toEqual([expect.objectContaining({ reason: 'replaced' })]);
    await expect(tab.status(SESSION)).rejects.toThrow('replaced');
  });
});
