import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { OpenConnections } from '../../../src/auth/open-connections/open-connections.service.js';
import { RevocationService } from '../../../src/sessions/revocation/revocation.service.js';
import { ALICE, BOB, PASSWORD, resetStores } from '../../../test/support/app.js';
import { StoppedClock } from '../../../test/support/clock.js';
import { AuthenticatorApp } from '../../../test/support/second-factor.js';
import { createUser } from '../../../test/support/test-users.js';
import { eventually } from '../../../test/support/waiting.js';
import type { SessionBegun } from '../src/index.js';
import { localLocks } from '../src/locks.js';
import { watchSession } from '../src/streams.js';
import {
  loggedIn,
  REFRESH,
  startServer,
  Tab,
  TRANSPORTS,
  type TabOptions,
  type TestServer,
} from './support.js';

const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const EVENTS = '/v1/sessions/current/events';
const TOTP = '/v1/auth/mfa/totp';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Real: the server, sockets, the channel between the tabs. Controlled: both clocks, the arrival of answers. */
describe('a client', () => {
  let server: TestServer;
  const aborts: AbortController[] = [];

  beforeAll(async () => {
    await resetStores();
    server = await startServer({ clock: new StoppedClock() });
  });
  afterEach(async () => {
    for (const abort of aborts.splice(0)) abort.abort();
    await untilOpen(0);
  });
  afterAll(() => server.close());

  const untilOpen = (count: number) => eventually(() => expect(server.get(OpenConnections).size).toBe(count));
  const end = (tab: Tab) => server.get(RevocationService).endSession(tab.sessionId, CAUSE);
  const post = (tab: Tab, path: string, body?: object) =>
    tab.client.fetch(path, { method: 'POST', headers: JSON_TYPE, body: body && JSON.stringify(body) });
  const watch = (tab: Tab, locks = localLocks()) => {
    const abort = new AbortController();
    aborts.push(abort);
    return watchSession(tab.client, { locks, time: tab.time, signal: abort.signal });
  };
  const listening = (options: TabOptions) => {
    const begun: SessionBegun[] = [];
    const tab = new Tab(server, { ...options, onSessionBegun: (session) => void begun.push(session) });
    return { tab, begun };
  };
  const logIn = async (tab: Tab, email: string = ALICE.email) => {
    const login = await tab.client.login({ email, password: PASSWORD });
    tab.sessionId = 'session' in login ? login.session.id : '';
    return login;
  };
  const enrolled = async () => {
    const { email } = await createUser(server);
    const tab = await loggedIn(server, { transport: 'cookie' }, { email });
    const { secret } = (await (await post(tab, TOTP)).json()) as { secret: string };
    return { tab, email, phone: new AuthenticatorApp(secret, server.clock) };
  };

  describe.each(TRANSPORTS)('by %s', (transport) => {
    it('tells the app that a session has begun, once for each login', async () => {
      const { tab, begun } = listening({ transport });
      await expect(tab.client.login({ email: ALICE.email, password: 'wrong' })).rejects.toMatchObject({
        code: 'auth.invalid_credentials',
      });
      expect(begun).toEqual([]);
      await logIn(tab);
      const session = { userId: ALICE.id, sessionId: tab.sessionId };
      expect(begun).toEqual([session]);
      await tab.client.logout();
      await logIn(tab);
      expect(begun).toEqual([session, { userId: ALICE.id, sessionId: tab.sessionId }]);
    });

    it('that watches its session tells the app of its end at once, without a call of the app', async () => {
      const tab = await loggedIn(server, { transport }, BOB);
      const watched = watch(tab);
      await untilOpen(1);
      expect(watch(tab)).toBe(watched);
      await end(tab);
      await watched;
      expect(tab.told).toMatchObject([{ reason: 'admin' }]);
      await tab.client.login({ email: BOB.email, password: PASSWORD });
      void watch(tab);
      await untilOpen(1);
    });
  });

  it('tells the app of a login with a second factor when it is complete', async () => {
    const { tab: owner, email, phone } = await enrolled();
    expect((await post(owner, `${TOTP}/confirm`, { code: phone.code() })).status).toBe(200);
    const { tab, begun } = listening({ transport: 'cookie' });
    const challenge = await logIn(tab, email);
    if (!('challengeToken' in challenge)) throw new Error('no second factor was asked');
    expect(begun).toEqual([]);
    const { challengeToken } = challenge;
    const { session, user } = await tab.client.completeLogin({ challengeToken, code: phone.nextCode() });
    expect(begun).toEqual([{ userId: user.id, sessionId: session.id }]);
  });

  it('tells the other tabs of the browser that a session has begun', async () => {
    const { tab, begun } = listening({ transport: 'cookie' });
    const other = listening({ transport: 'cookie', beside: tab });
    await logIn(tab);
    await eventually(() => expect(other.begun).toEqual(begun));
    expect(begun).toHaveLength(1);
  });

  it('reads the events of its session in one tab, and the other tabs learn of the end', async () => {
    const tab = await loggedIn(server, { transport: 'cookie' }, BOB);
    const other = new Tab(server, { transport: 'cookie', beside: tab });
    const knowsItsUser = async () => expect(await other.status('/v1/auth/whoami')).toBe(200);
    await knowsItsUser();
    server.arrived(EVENTS);
    const locks = localLocks();
    const watched = [watch(tab, locks), watch(other, locks)];
    await untilOpen(1);
    await knowsItsUser();
    expect(server.arrived(EVENTS)).toBe(1);
    await end(tab);
    await Promise.all(watched);
    expect([tab.told, other.told]).toMatchObject([[{ reason: 'admin' }], [{ reason: 'admin' }]]);
  });

  it('R2: whose event stream ends before the answer to a change of keys arrives keeps the new proofs', async () => {
    const { tab, phone } = await enrolled();
    void watch(tab);
    await untilOpen(1);
    server.arrived(REFRESH);
    tab.time.holding = true;
    const release = tab.jar.holdAnswerTo(`${TOTP}/confirm`);
    const confirmed = post(tab, `${TOTP}/confirm`, { code: phone.code() });
    await eventually(() => expect(tab.time.waiting.some((ms) => ms > 1_000 && ms < 3_000)).toBe(true));
    expect(server.arrived(REFRESH)).toBe(1);
    release();
    expect((await confirmed).status).toBe(200);
    tab.time.holding = false;
    tab.time.skip(3_000);
    await untilOpen(1);
    // It asks for a proof by the second factor.
    expect((await post(tab, '/v1/auth/mfa/recovery-codes')).status).toBe(200);
    expect(tab.told).toEqual([]);
  });
});
