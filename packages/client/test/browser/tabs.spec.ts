import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ALICE, BOB, PASSWORD, resetStores } from '../../../../test/support/app.js';
import { eventually, Gate } from '../../../../test/support/waiting.js';
import { localLocks, type Locks } from '../../src/locks.js';
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
} from '../support.js';

const WHOAMI = '/v1/auth/whoami';
const ROUNDS = 50;
const DAY = 24 * 3_600_000;
/** From `locks.ts`: a tab waits so long for another tab that holds the lock. */
const LOCK_PATIENCE_MS = 5_000;

/** A repeating barrier: blocks all until so many have arrived. */
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

/** Real: the server, its stores, sockets, the channel between the tabs. Simulated: the cookie jar and Web Locks. */
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

  it('with locks but without a channel refresh once for all', async () => {
    const all = tabs(4, {
      locks: localLocks(),
      channel: { addEventListener() {}, postMessage() {}, close() {} },
    });
    for (const tab of all) await tab.expectAlive(); // and know the user of the tabs
    server.arrived(WHOAMI);
    for (let round = 0; round < 5; round++) await expire(all);
    expect(server.arrived(REFRESH)).toBe(5);
    expect(server.arrived(WHOAMI)).toBe(transport === 'cookie' ? 15 : 0);
  });

  it(`R2: without locks refresh all at once, ${ROUNDS} times, and no tab is logged out`, async () => {
    const barrier = new Barrier(2);
    const all = tabs(2, { via: onRefresh(() => barrier.pass()) });
    for (let round = 0; round < ROUNDS; round++) await expire(all);
    expect(server.arrived(REFRESH)).toBe(2 * ROUNDS);
    for (const tab of [...all, ...tabs(1)]) await tab.expectAlive();
  });

  it.each<[string, () => Locks]>([
    ['whose locks are refused', () => ({ request: () => Promise.reject(new Error('SecurityError')) })],
    ['that have no locks', () => localLocks()],
  ])('%s refresh anyway', async (_name, locks) => {
    await expire(tabs(2, { locks: locks() }));
  });

  it('stop waiting for a sleeping tab that holds the lock', async () => {
    const locks = localLocks();
    const asleep = new Gate();
    void locks.request('', {}, () => asleep.opened);
    const [tab] = tabs(1, { locks }) as [Tab];
    server.clock.advance(EXPIRY);
    const call = tab.status(SESSION);
    await eventually(() => expect(tab.time.waiting).toEqual([LOCK_PATIENCE_MS]));
    expect(server.arrived(REFRESH)).toBe(0);
    tab.time.skip(tab.time.waiting[0]!);
    expect(await call).toBe(200);
    asleep.open();
  });

  it('all end when one logs out, and all continue when the same user logs in again', async () => {
    const others = tabs(3);
    await expire(others); // and all know the user of the tabs
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

  it('stay logged out when a refresh lands after another tab’s logout', async () => {
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

  it('keep another user’s login when a refresh lands after it', async () => {
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

/** Real: the server, its stores, the channel between the tabs. Simulated: the cookie jar. */
describe('tabs that share cookies', () => {
  const PASSKEY_OPTIONS = '/v1/auth/login/passkey/options';
  const transport = 'cookie';
  let server: TestServer;
  let first: Tab;
  let second: Tab;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    first = new Tab(server, { transport });
    second = beside();
  });

  const beside = (options: Partial<TabOptions> = {}) =>
    new Tab(server, { transport, beside: first, ...options });
  const logIn = (tab: Tab, { email } = ALICE) => tab.client.login({ email, password: PASSWORD });
  /** Calls for long enough that every message of the other tabs has arrived. */
  async function expectToGoOn(tab: Tab, person = ALICE): Promise<void> {
    for (let calls = 0; calls < 5; calls++) {
      expect(await tab.status(SESSION)).toBe(200);
      expect(await tab.client.fetch(WHOAMI).then((answer) => answer.json())).toMatchObject({
        userId: person.id,
      });
    }
    expect(tab.client.ended).toBeNull();
  }
  async function expectToBeReplaced(tab: Tab): Promise<void> {
    await eventually(() => expect(tab.client.ended).toMatchObject({ reason: 'replaced' }));
    await expect(tab.status(SESSION)).rejects.toThrow('replaced');
  }

  it.each<[string, (tab: Tab) => Promise<unknown>]>([
    ['no call yet', async () => undefined],
    ['a call that was refused', (tab) => tab.status(SESSION)],
    ['a public call', (tab) => tab.status(PASSKEY_OPTIONS, { method: 'POST' })],
    ['several calls at once', (tab) => Promise.all([FLAGS, SESSION, FLAGS].map((path) => tab.status(path)))],
  ])(
    'on the login page, with %s: a login in one tab lets the other continue, and so does the next login',
    async (_what, call) => {
      await Promise.all([call(first), call(second)]);
      await logIn(first);
      await expectToGoOn(second);
      await logIn(first);
      await expectToGoOn(second);
      await logIn(second);
      await expectToGoOn(first);
      expect([first.told, second.told]).toEqual([[], []]);
    },
  );

  it('on the login page with the cookies of an ended session: a login in one tab lets the other continue', async () => {
    await logIn(first);
    server.clock.advance(31 * DAY);
    const [calls, isRefused, fresh] = [beside(), beside(), beside()];
    expect(await calls.status(PASSKEY_OPTIONS, { method: 'POST' })).toBe(200);
    await expect(isRefused.status(SESSION)).rejects.toThrow('ended');
    await logIn(fresh);
    for (const tab of [calls, isRefused]) {
      await eventually(() => expect(tab.client.ended).toBeNull());
      await expectToGoOn(tab);
    }
  });

  it('that were opened after the login know their user: another user’s login replaces them, and the first user’s login restores them', async () => {
    await logIn(first);
    const later = beside();
    expect(await later.status(SESSION)).toBe(200);
    await logIn(second, BOB);
    await expectToBeReplaced(later);
    await expectToBeReplaced(first);
    await logIn(second);
    for (const tab of [first, later]) {
      await eventually(() => expect(tab.client.ended).toBeNull());
      await expectToGoOn(tab);
    }
  });

  it('that were opened after the login end with a logout in another tab, and continue with the next login of the user', async () => {
    await logIn(first);
    const [later, other] = [beside(), beside()];
    for (const tab of [later, other]) expect(await tab.status(SESSION)).toBe(200);
    await later.client.logout();
    await eventually(() => expect(other.told).toEqual([expect.objectContaining({ reason: 'logout' })]));
    await logIn(later);
    for (const tab of [first, other]) {
      await eventually(() => expect(tab.client.ended).toBeNull());
      await expectToGoOn(tab);
    }
  });

  it.each<[string, boolean]>([
    ['the user before had used is replaced', true],
    ['no user had used continues', false],
  ])('that do not know their user yet receive a login: a tab that %s', async (_what, isUsed) => {
    if (isUsed) await logIn(first);
    const answered = new Gate();
    const tab = beside({
      via: (send) => async (input, init) => {
        const response = await send(input, init);
        if (String(input).endsWith(WHOAMI)) await answered.opened;
        return response;
      },
    });
    expect(await tab.status(SESSION)).toBe(isUsed ? 200 : 401);
    await logIn(second, BOB);
    answered.open();
    if (isUsed) await expectToBeReplaced(tab);
    else await expectToGoOn(tab, BOB);
  });

  it('that could not request their user do not continue as another user, and are a login page from then on', async () => {
    await logIn(first);
    const tab = beside({
      via: (send) => async (input, init) => {
        if (String(input).endsWith(WHOAMI)) throw new TypeError('network');
        return send(input, init);
      },
    });
    expect(await tab.status(SESSION)).toBe(200);
    await logIn(second, BOB);
    await expectToBeReplaced(tab); // it may show another user's data
    await logIn(second);
    await eventually(() => expect(tab.client.ended).toBeNull()); // its app has shown a login page since
    expect(await tab.status(SESSION)).toBe(200);
  });

  it('ignore a note about an earlier session of the same browser', async () => {
    await logIn(first);
    const { id } = (await (await first.client.fetch(SESSION)).json()) as { id: string };
    await logIn(second);
    await expectToGoOn(first);
    const late = first.jar.channel();
    for (const note of [
      { kind: 'ended', sessionId: id, reason: 'logout' },
      { kind: 'renewed', sessionId: id, userId: BOB.id, expiresIn: 1 },
    ])
      late.postMessage(note); // oxlint-disable-line unicorn/require-post-message-target-origin -- a channel has none
    for (const tab of [first, second]) await expectToGoOn(tab);
    late.close();
  });

  it('request their user once, beside the first call', async () => {
    await logIn(first);
    server.arrived(WHOAMI);
    const later = beside();
    for (let calls = 0; calls < 5; calls++) expect(await later.status(SESSION)).toBe(200);
    await eventually(() => expect(server.arrived(WHOAMI)).toBe(1));
    for (let calls = 0; calls < 5; calls++) expect(await later.status(SESSION)).toBe(200);
    expect(server.arrived(WHOAMI)).toBe(0);
  });
});
