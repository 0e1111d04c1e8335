import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores } from '../../../test/support/app.js';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { eventually } from '../../../test/support/waiting.js';
import { ApiProblem, AuthUnavailable, SessionEnded, type Session } from '../src/index.js';
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
import { COOKIES } from '../../../test/support/cookies.js';

const LOGIN = '/v1/auth/login';
const LOGOUT = '/v1/auth/logout';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Real: the server, its stores, the sockets between. Controlled: both clocks, the network's faults. */
describe.each(TRANSPORTS)('the end of a session, by %s', (transport) => {
  let server: TestServer;
  let network: FaultProxy;
  let admin: Tab;
  let tab: Tab;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
    network = await FaultProxy.before(server.url);
    admin = await loggedIn(server, { transport: 'bearer' }, ADMIN);
  });
  afterAll(async () => {
    await network.close();
    await server.close();
  });
  beforeEach(async () => {
    tab = await loggedIn(network, { transport });
  });

  const forceOut = (sessionId: string) =>
    admin.status(`/v1/admin/sessions/${sessionId}`, { method: 'DELETE' });
  const expectNothingArrived = () =>
    expect([FLAGS, SESSION, REFRESH, LOGOUT].map((path) => server.arrived(path))).toEqual([0, 0, 0, 0]);
  const forgetArrivals = () => void [FLAGS, SESSION, REFRESH, LOGOUT].map((path) => server.arrived(path));

  it.each(['at once', 'after the access token has expired'])(
    'is reported once, with its reason, to twenty calls, %s; further calls are refused without I/O',
    async (when) => {
      expect(await forceOut(tab.sessionId)).toBe(200);
      if (when !== 'at once') server.clock.advance(EXPIRY);
      const calls = Array.from({ length: 20 }, (_, index) => tab.status(index % 2 ? FLAGS : SESSION));
      const ended = expect.objectContaining({ name: 'SessionEnded', reason: 'admin' });
      for (const call of await Promise.allSettled(calls))
        expect(call).toEqual({ status: 'rejected', reason: ended });
      expect(tab.told).toEqual([ended]);
      expect(Date.parse(tab.told[0]!.endedAt!)).toBeGreaterThan(0);
      forgetArrivals();
      await expect(tab.status(FLAGS)).rejects.toEqual(ended);
      await tab.client.logout();
      expectNothingArrived();
      expect(tab.told).toHaveLength(1);
    },
  );

  it('keeps the device token, and a login starts a new session', async () => {
    const device = async () => ((await (await tab.client.fetch(SESSION)).json()) as Session).device.id;
    const before = await device();
    await forceOut(tab.sessionId);
    await expect(tab.status(FLAGS)).rejects.toThrow(SessionEnded);
    if (transport === 'bearer') expect(Object.keys(tab.tokens)).toEqual(['deviceToken']);
    await tab.client.login({ email: ALICE.email, password: PASSWORD });
    expect(await device()).toBe(before);
    expect(tab.client.ended).toBeNull();
  });

  it('happens on the server by logout, too, and is reported like any other', async () => {
    const copy = { transport, storage: { get: () => ({ ...kept }), set: () => undefined } } as const;
    const kept = { ...tab.tokens };
    const cookies = [...tab.jar.cookies];
    await tab.client.logout();
    expect(tab.told).toEqual([expect.objectContaining({ reason: 'logout' })]);
    await expect(tab.status(FLAGS)).rejects.toThrow('logout');
    const thief = new Tab(network, copy);
    for (const [name, value] of cookies) thief.jar.cookies.set(name, value);
    await expect(thief.status(SESSION)).rejects.toMatchObject({ reason: 'logout' });
  });

  it('is reported once when it happens twice', async () => {
    await Promise.all([tab.client.logout(), tab.client.logout()]);
    expect(tab.told).toEqual([expect.objectContaining({ reason: 'logout' })]);
  });

  it('does not follow a logout that the server has not received', async () => {
    network.cut();
    await expect(tab.client.logout()).rejects.toThrow(AuthUnavailable);
    await heal(network);
    await tab.expectAlive();
    const lost = network.loseAnswerTo(LOGOUT);
    await tab.client.logout();
    await lost;
    expect(tab.client.ended).toMatchObject({ reason: 'logout' });
  });

  it('follows a refresh token that the server does not know', async () => {
    if (transport === 'bearer') await tab.storage.set({ ...tab.tokens, refreshToken: 'nonsense' });
    else tab.jar.cookies.set(COOKIES.refresh, 'nonsense');
    server.clock.advance(EXPIRY);
    const later = new Tab(network, { transport, beside: tab });
    await expect(later.status(FLAGS)).rejects.toMatchObject({ name: 'SessionEnded', reason: 'unknown' });
    expect(later.told).toHaveLength(1);
  });

  it('follows the loss of the tokens', async () => {
    await tab.expectAlive();
    tab.jar.cookies.clear();
    await tab.storage.set({});
    server.clock.advance(EXPIRY);
    await expect(tab.status(FLAGS)).rejects.toMatchObject({ reason: 'unknown' });
    expect(tab.told).toHaveLength(1);
  });

  if (transport === 'cookie')
    it('follows cookies that a browser does not keep: the next call reports it and names the setting to change', async () => {
      const careless = new Tab(network, {
        transport,
        via: () => (input, init) => fetch(input, init), // its jar stays empty
      });
      await careless.client.login({ email: ALICE.email, password: PASSWORD });
      forgetArrivals();
      await expect(careless.status(FLAGS)).rejects.toMatchObject({
        name: 'SessionEnded',
        reason: 'cookies_refused',
        message: expect.stringContaining('COOKIE_SECURE=false'),
      });
      expect(server.arrived(REFRESH)).toBe(1);
      expect(careless.told).toHaveLength(1);
      const kept = await loggedIn(network, { transport });
      expect(await kept.status(SESSION)).toBe(200);
      kept.jar.cookies.clear(); // later, by the user
      await expect(kept.status(SESSION)).rejects.toMatchObject({ reason: 'unknown' });
    });

  it('does not follow a plain 401 for a client without a session, and causes no refresh', async () => {
    const stranger = new Tab(network, { transport });
    forgetArrivals();
    expect(await stranger.status(FLAGS)).toBe(401);
    expect([server.arrived(REFRESH), stranger.told, stranger.client.ended]).toEqual([0, [], null]);
    await stranger.client.logout();
  });

  it('leaves public endpoints usable', async () => {
    await tab.client.logout();
    const body = JSON.stringify({ email: 'new@example.com', password: 'a password of some length' });
    const init = { method: 'POST', headers: JSON_TYPE, body, credentials: 'omit' } as const;
    expect(await tab.status('/v1/auth/register', init)).toBe(202);
  });

  it('does not follow a wrong password, nor a login that gets no answer', async () => {
    const wrong = tab.client.login({ email: ALICE.email, password: 'wrong' });
    await expect(wrong).rejects.toMatchObject({
      name: 'ApiProblem',
      code: 'auth.invalid_credentials',
      status: 401,
    });
    await expect(tab.client.reauthenticate({ password: 'wrong' })).rejects.toThrow(ApiProblem);
    server.arrived(LOGIN);
    await tab.expectAlive();
    const newcomer = new Tab(network, { transport });
    const lost = network.loseAnswerTo(LOGIN);
    const login = newcomer.client.login({ email: ALICE.email, password: PASSWORD });
    await expect(login).rejects.toThrow(AuthUnavailable);
    await lost;
    expect([server.arrived(LOGIN), newcomer.told]).toEqual([1, []]);
  });

  it('does not follow a throttled request, with the password or without', async () => {
    const strict = await startServer({ env: { RATE_LIMITS: 'on' } });
    const guest = await loggedIn(strict, { transport });
    const wrong = { password: 'wrong' };
    for (let guess = 0; guess < 10; guess += 1)
      await expect(guest.client.reauthenticate(wrong)).rejects.toThrow(ApiProblem);
    const told = { name: 'AuthUnavailable', retryAfter: 30_000 };
    await expect(guest.client.reauthenticate({ password: PASSWORD })).rejects.toMatchObject(told);
    await guest.expectAlive();
    await strict.close();
  });

  it('of one user does not repeat a call as another user', async () => {
    server.clock.advance(EXPIRY);
    const other = await loggedIn(network, { transport, beside: tab }, BOB);
    if (transport === 'cookie') await eventually(() => expect(tab.told).toHaveLength(1)); // the test cannot read the cookie jar
    await expect(tab.status(SESSION)).rejects.toMatchObject({ name: 'SessionEnded', reason: 'replaced' });
    expect(tab.told).toEqual([expect.objectContaining({ reason: 'replaced' })]);
    await other.expectAlive();
  });

  it('does not follow a reauthentication beside a refresh that is due, and the kept tokens are fresh', async () => {
    const chief = await loggedIn(network, { transport }, ADMIN);
    const countVoided = () =>
      server.query(`select count(*) from audit_events where type = 'authn_reauthentication_voided'`);
    const before = await countVoided();
    for (const clock of [server.clock, chief.time]) clock.advance(14 * 60_000); // good for another minute
    await chief.client.reauthenticate({ password: PASSWORD });
    const roles = { method: 'PUT', headers: JSON_TYPE, body: JSON.stringify({ roles: ['user'] }) };
    expect(await chief.status(`/v1/admin/users/${BOB.id}/roles`, roles)).toBe(200);
    expect(await countVoided()).toEqual(before);
  });

  it('does not follow a reauthentication with an expired access token', async () => {
    const chief = await loggedIn(network, { transport }, ADMIN);
    server.clock.advance(6 * 60_000);
    const setRoles = () =>
      chief.status(`/v1/admin/users/${BOB.id}/roles`, {
        method: 'PUT',
        headers: JSON_TYPE,
        body: JSON.stringify({ roles: ['user'] }),
      });
    expect(await setRoles()).toBe(401);
    expect(chief.client.ended).toBeNull();
    await chief.client.reauthenticate({ password: PASSWORD });
    expect(await setRoles()).toBe(200);
    server.clock.advance(EXPIRY);
    const lost = network.loseAnswerTo('/v1/auth/reauthenticate');
    await expect(chief.client.reauthenticate({ password: PASSWORD })).rejects.toThrow(AuthUnavailable);
    await lost;
    await chief.client.reauthenticate({ password: PASSWORD });
    expect(await setRoles()).toBe(200);
    await eventually(() => chief.expectAlive());
    if (transport === 'bearer') expect(chief.tokens.deviceToken).toBeDefined();
  });
});
