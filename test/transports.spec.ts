import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { loggedIn, type Person } from './support/test-users.js';
import { COOKIES } from './support/cookies.js';

const INVALID = { status: 401, body: { code: 'auth.invalid_token' } };
const OTHER = { cookie: 'bearer', bearer: 'cookie' } as const;
const MINUTE = 60_000;

/** Real: PostgreSQL, the cache. `test/route-matrix.spec.ts` tests the access token on every route. */
describe.each(['cookie', 'bearer'] as const)('a session of the %s transport', (transport) => {
  let app: TestApp;
  let owner: Person;
  let access: string;
  let refresh: string;
  let device: string;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { SESSION_LIMIT: '1000' } });
  });
  afterAll(() => app.close());

  const begin = async () => {
    owner = await loggedIn(app, ALICE, transport);
    access = owner.accessToken ?? owner.jar.get(COOKIES.access)!;
    refresh = owner.refreshToken ?? owner.jar.get(COOKIES.refresh)!;
    device = owner.deviceToken ?? owner.jar.get(COOKIES.device)!;
  };
  /** A client that presents the tokens in the place of the other transport. */
  const misplaced = (tokens: { access?: string; refresh?: string; device?: string }): Client => {
    const client = app.client();
    if (OTHER[transport] === 'bearer') {
      return Object.assign(client, {
        accessToken: tokens.access,
        refreshToken: tokens.refresh,
        deviceToken: tokens.device,
      });
    }
    for (const [name, token] of Object.entries(tokens))
      client.jar.set(COOKIES[name as keyof typeof COOKIES], token);
    return client;
  };
  const logOut = (client: Client) =>
    client.post('/v1/auth/logout', client.refreshToken ? { refreshToken: client.refreshToken } : undefined);

  it('has an access token that the other transport refuses, cached by the instance or not', async () => {
    await begin();
    const thief = misplaced({ access });
    for (const path of ['/v1/auth/whoami', '/v1/probe/flags', '/v1/sessions/current', '/v1/probe/payments']) {
      expect(await thief.get(path)).toMatchObject(INVALID);
      expect((await owner.get(path)).status).toBe(200);
      expect(await thief.get(path)).toMatchObject(INVALID);
    }
    app.clock.advance(16 * MINUTE);
    expect((await owner.get('/v1/auth/whoami')).body.code).toBe('auth.token_expired');
    expect(await thief.get('/v1/auth/whoami')).toMatchObject(INVALID);
  });

  it('has a refresh token that the other transport refuses, whether the session lives or has ended', async () => {
    await begin();
    const thief = misplaced({ refresh, device });
    expect(await thief.refresh()).toMatchObject(INVALID);
    expect((await owner.refresh()).status).toBe(200);
    expect((await owner.delete(`/v1/sessions/${owner.id}`)).status).toBe(200);
    expect(await thief.refresh()).toMatchObject(INVALID);
  });

  it('is not ended by a logout with its tokens on the other transport', async () => {
    await begin();
    for (const tokens of [{ access }, { refresh }]) {
      expect((await logOut(misplaced(tokens))).status).toBe(204);
      expect((await owner.get('/v1/sessions/current')).status).toBe(200);
    }
    const copy = owner.copy();
    expect((await logOut(owner)).status).toBe(204);
    expect(await copy.get('/v1/sessions/current')).toMatchObject({ body: { reason: 'logout' } });
  });

  it('is not replaced by a login with its tokens on the other transport', async () => {
    await begin();
    for (const tokens of [{ access }, { refresh }]) {
      const client = misplaced(tokens);
      const login = await client.login(ALICE.email, PASSWORD, { transport: OTHER[transport] });
      expect(login.status).toBe(200);
      expect((await owner.get('/v1/sessions/current')).status).toBe(200);
    }
  });
});
