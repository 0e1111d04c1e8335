import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, sign } from 'node:crypto';
import { ALICE, PASSWORD, resetStores } from '../../../test/support/app.js';
import { COOKIES } from '../../../test/support/cookies.js';
import { DeviceKey, offeredChallenge } from '../../../test/support/device-key.js';
import { deviceKey, type ProofSigner } from '../src/device-key.js';
import { EXPIRY, FLAGS, loggedIn, REFRESH, SESSION, startServer, Tab, type TestServer } from './support.js';

const LOGIN = '/v1/auth/login';
const HOUR = 60 * 60_000;

/** A key of an app, with the algorithms of Node. */
function nativeKey(): ProofSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    jwk: publicKey.export({ format: 'jwk' }) as ProofSigner['jwk'],
    sign: async (bytes) =>
      new Uint8Array(sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  };
}

/** Real: the application on a real socket, PostgreSQL, the cache. */
describe('a client with a device key', () => {
  let server: TestServer;
  let signer: ProofSigner;
  const now = () => server.clock.now();
  const withKey = (key: ProofSigner) => ({ transport: 'bearer' as const, deviceKey: deviceKey(key, now) });

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
  });
  afterAll(() => server?.close());
  beforeEach(() => {
    signer = nativeKey();
    for (const path of [LOGIN, REFRESH]) server.arrived(path);
  });

  const bindingOf = async (tab: Tab) => {
    const { binding } = (await (await tab.client.fetch(SESSION)).json()) as { binding?: { carrier: string } };
    return binding?.carrier;
  };
  /** An answer like any other: the session goes on. */
  const expectUnproven = async (tab: Tab) => {
    const answer = await tab.client.fetch(SESSION);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      code: 'auth.reauthentication_required',
      deviceKey: 'unproven',
    });
    expect([tab.client.ended, tab.told]).toEqual([null, []]);
  };

  it('binds its session, and proves the key at each refresh and step-up', async () => {
    const tab = await loggedIn(server, withKey(signer));
    expect(await bindingOf(tab)).toBe('dpop');
    for (let expiry = 0; expiry < 2; expiry++) {
      server.clock.advance(EXPIRY);
      await tab.expectAlive();
      expect(server.arrived(REFRESH)).toBe(1);
    }
    await tab.client.reauthenticate({ password: PASSWORD });
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
    expect(await bindingOf(tab)).toBe('dpop');
    await tab.client.logout();
  });

  it('finds its key once it needs it, not before', async () => {
    let found = 0;
    const find = async () => {
      found++;
      return signer;
    };
    const tab = new Tab(server, { transport: 'bearer', deviceKey: deviceKey(find, now) });
    expect(await tab.status('/health/live', { credentials: 'omit' })).toBe(200);
    expect(found).toBe(0);
    await tab.client.login({ email: ALICE.email, password: PASSWORD });
    expect(found).toBe(1);
    await tab.expectAlive();
    expect(found).toBe(1);
  });

  it.each([HOUR, -HOUR])('works with a clock that is off by %d ms, with one request more', async (offset) => {
    const wrong = { transport: 'bearer' as const, deviceKey: deviceKey(signer, () => now() + offset) };
    const tab = await loggedIn(server, wrong);
    expect(server.arrived(LOGIN)).toBe(2);
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
    expect(server.arrived(REFRESH)).toBe(2);
    expect(await bindingOf(tab)).toBe('dpop');
  });

  it('signs again once only, when the server refuses its nonce too', async () => {
    let sent = 0;
    const refusing = deviceKey(signer)(async () => {
      sent++;
      return new Response('{}', { status: 401, headers: { 'dpop-nonce': 'x' } });
    });
    const answer = await refusing('https://api.example.com/v1/auth/refresh', { method: 'POST' });
    expect([answer.status, sent]).toEqual([401, 2]);
  });

  it.each<[string, () => ProofSigner | undefined]>([
    ['with another key, which it then has', nativeKey],
    ['without a key, and then has none', () => undefined],
  ])('continues a session %s, after a step-up and without a logout', async (_name, another) => {
    const owner = await loggedIn(server, withKey(signer));
    const key = another();
    const lost = new Tab(server, { ...(key ? withKey(key) : { transport: 'bearer' }), beside: owner });
    await lost.expectAlive(); // until the access token expires
    server.clock.advance(EXPIRY);
    server.arrived(REFRESH);
    await expectUnproven(lost);
    await expectUnproven(lost);
    expect(server.arrived(REFRESH)).toBe(1);
    server.clock.advance(EXPIRY);
    await expectUnproven(lost);
    await expect(lost.client.reauthenticate({ password: 'a wrong password' })).rejects.toMatchObject({
      code: 'auth.invalid_credentials',
    });
    await lost.client.reauthenticate({ password: PASSWORD });
    await lost.expectAlive();
    expect(await bindingOf(lost)).toBe(key && 'dpop');
    server.clock.advance(EXPIRY);
    await lost.expectAlive();
  });

  it('can step up when its access token has expired and its key is lost', async () => {
    const owner = await loggedIn(server, withKey(signer));
    const lost = new Tab(server, { ...withKey(nativeKey()), beside: owner });
    server.clock.advance(EXPIRY);
    await lost.client.reauthenticate({ password: PASSWORD });
    await lost.expectAlive();
  });

  it('does not refresh ahead while it waits for the step-up', async () => {
    const owner = await loggedIn(server, withKey(signer));
    const lost = new Tab(server, { ...withKey(nativeKey()), beside: owner });
    server.clock.advance(EXPIRY);
    await expectUnproven(lost);
    server.arrived(REFRESH);
    lost.time.advance(EXPIRY);
    await expectUnproven(lost);
    await expectUnproven(lost);
    expect(server.arrived(REFRESH)).toBe(0);
  });

  it('reports a temporary failure while the key cannot sign', async () => {
    let isLocked = false;
    const locked: ProofSigner = {
      jwk: signer.jwk,
      sign: (bytes) => (isLocked ? Promise.reject(new Error('locked')) : signer.sign(bytes)),
    };
    const tab = await loggedIn(server, withKey(locked));
    server.clock.advance(EXPIRY);
    isLocked = true;
    await expect(tab.status(SESSION)).rejects.toMatchObject({ name: 'AuthUnavailable' });
    isLocked = false;
    await tab.expectAlive();
  });
});

describe('a client of a browser whose bound cookie is gone', () => {
  let server: TestServer;
  beforeAll(async () => {
    await resetStores();
    server = await startServer();
  });
  afterAll(() => server?.close());

  it('continues its session after a step-up and without a logout', async () => {
    const tab = await loggedIn(server, { transport: 'cookie' });
    const post = (path: string, headers = {}) =>
      tab.jar.fetch(`${server.url}${path}`, { method: 'POST', headers });
    const offer = await post(REFRESH);
    const challenge = offeredChallenge({ headers: Object.fromEntries(offer.headers) } as never);
    const proof = await (await DeviceKey.create()).sign(challenge, { withKey: true });
    const registered = await post('/v1/auth/binding/register', { 'secure-session-response': proof });
    expect(registered.status).toBe(200);
    await tab.expectAlive();
    tab.jar.cookies.delete(COOKIES.bound);
    server.clock.advance(EXPIRY);
    server.arrived(REFRESH);
    for (const path of [FLAGS, SESSION, SESSION]) {
      const answer = await tab.client.fetch(path);
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({
        code: 'auth.reauthentication_required',
        deviceKey: 'unproven',
      });
    }
    tab.time.advance(EXPIRY);
    expect(await tab.status(SESSION)).toBe(401);
    expect(server.arrived(REFRESH)).toBe(1);
    expect([tab.client.ended, tab.told]).toEqual([null, []]);
    await tab.client.reauthenticate({ password: PASSWORD });
    await tab.expectAlive();
    server.clock.advance(EXPIRY);
    await tab.expectAlive();
  });
});
