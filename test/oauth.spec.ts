import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import * as oidc from 'openid-client';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import {
  asApp,
  authorize,
  begin,
  browserOf,
  decide,
  discover,
  exchange,
  HOME,
  OAUTH_ENV,
  open,
  pathOf,
  TOOLS,
} from './support/oauth.js';
import { KeyStore } from '../src/platform/keys/key-store.js';
import { PRODUCT } from '../src/product.js';
import { read } from './support/forge.js';
import { documentOf } from './support/operations.js';
import { createUser, loggedIn } from './support/test-users.js';
import type { Client } from './support/client.js';

let a: TestApp;
let b: TestApp;
let notes: oidc.Configuration;
let sync: oidc.Configuration;

beforeAll(async () => {
  await resetStores();
  a = await startApp({ env: { ...OAUTH_ENV, API_DOCS: 'true' } });
  b = await startApp({ env: OAUTH_ENV });
  notes = await discover(a);
  sync = await discover(a, 'sync');
});
afterAll(() => Promise.all([a.close(), b.close()]));

const flags = (token: string, app = a) => asApp(app, token).get('/v1/probe/flags');
const pay = (token: string, app = a) => asApp(app, token).pay(`pay-${randomUUID()}`);

describe('an app that acts for a person', () => {
  let browser: Client & { userId: string; id: string };
  beforeEach(async () => void (browser = await browserOf(a)));

  it('discovers the provider, and gets a token with the scopes that the person has allowed', async () => {
    expect(notes.serverMetadata()).toMatchObject({
      issuer: `${HOME}/oauth`,
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['S256'],
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
    });
    const tokens = await authorize(notes, browser);
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'probe:read' });
    expect(tokens.claims()).toMatchObject({ sub: browser.userId, iss: `${HOME}/oauth`, aud: 'notes' });
    const { header, claims } = read(tokens.access_token);
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: 'oauth-test-key' });
    expect(claims).toEqual({
      iss: `${HOME}/oauth`,
      aud: HOME,
      sub: browser.userId,
      client_id: 'notes',
      scope: 'probe:read',
      grant_id: expect.any(String),
      sid: browser.id,
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: (claims['iat'] as number) + 600,
    });
    expect(await flags(tokens.access_token)).toMatchObject({ status: 200 });
    expect(await flags(tokens.access_token, b)).toMatchObject({ status: 200 });
  });

  it('finds in the API document the provider, and the routes that let it in', async () => {
    const { components, operations } = await documentOf(a);
    expect(components.securitySchemes).toMatchObject({
      app: {
        type: 'openIdConnect',
        openIdConnectUrl: `${HOME}/oauth/.well-known/openid-configuration`,
      },
    });
    const forApps = operations.filter(({ security = [] }) => security.some((each) => 'app' in each));
    expect(forApps.map(({ name }) => name)).toEqual(
      operations.filter((operation) => operation['x-apps']).map(({ name }) => name),
    );
    expect(forApps.length).toBeGreaterThan(0);
    expect(operations.some((operation) => operation['x-scope'] && !operation['x-apps'])).toBe(true);
  });

  it('calls a route of the session tier with the scope, and its write is fenced', async () => {
    const { access_token: token } = await authorize(notes, browser, { scope: 'probe:write' });
    expect(await pay(token)).toMatchObject({ status: 201 });
  });

  it('is refused with 403 without the scope, and with 401 on every route that lets in no app', async () => {
    const { access_token: token } = await authorize(notes, browser);
    expect(await pay(token)).toMatchObject({
      status: 403,
      body: { code: 'auth.insufficient_scope', scope: 'probe:write' },
      headers: {
        'www-authenticate': `Bearer error="insufficient_scope", scope="probe:write", resource_metadata="${HOME}/.well-known/oauth-protected-resource"`,
      },
    });
    for (const path of ['/v1/auth/whoami', '/v1/sessions', '/v1/users/me', '/v1/grants', '/v1/admin/users'])
      expect(await asApp(a, token).get(path)).toMatchObject({
        status: 401,
        body: { code: 'auth.unauthenticated' },
      });
  });

  it('refreshes, introspects and revokes', async () => {
    const first = await authorize(notes, browser);
    const next = await oidc.refreshTokenGrant(notes, first.refresh_token!);
    expect(next).toMatchObject({ scope: 'probe:read' });
    expect(await flags(next.access_token)).toMatchObject({ status: 200 });
    expect(await oidc.tokenIntrospection(notes, next.access_token)).toMatchObject({
      active: true,
      client_id: 'notes',
      scope: 'probe:read',
      sub: browser.userId,
      aud: HOME,
      token_type: 'Bearer',
    });
    expect(await oidc.tokenIntrospection(sync, next.access_token)).toMatchObject({ active: true });
    await oidc.tokenRevocation(notes, next.refresh_token!);
    expect(await oidc.tokenIntrospection(notes, next.access_token)).toEqual({ active: false });
    await expect(oidc.refreshTokenGrant(notes, next.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    expect(await flags(next.access_token)).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_token' },
    });
  });

  it('ends its grant when it revokes an access token', async () => {
    const tokens = await authorize(notes, browser);
    await oidc.tokenRevocation(notes, tokens.access_token);
    expect(await flags(tokens.access_token)).toMatchObject({ status: 401 });
    await expect(oidc.refreshTokenGrant(notes, tokens.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  it('gets a token for another service only for that service (RFC 8707)', async () => {
    const tokens = await authorize(notes, browser, { scope: 'tools:use', resource: TOOLS });
    expect(read(tokens.access_token).claims).toMatchObject({ aud: TOOLS, scope: 'tools:use' });
    expect(await flags(tokens.access_token)).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_token' },
    });
    const begun = await begin(notes, { resource: 'https://unknown.example/' });
    const answer = await browser.get(pathOf(begun.url));
    expect(new URL(String(answer.headers['location'])).searchParams.get('error')).toBe('invalid_target');
  });

  it('learns the name and the address only with their scopes', async () => {
    const tokens = await authorize(notes, browser, { scope: 'openid email profile' });
    expect(tokens.claims()).toMatchObject({ email: ALICE.email, email_verified: true });
    expect(await oidc.fetchUserInfo(notes, tokens.access_token, browser.userId)).toMatchObject({
      sub: browser.userId,
      email: ALICE.email,
    });
    expect((await authorize(notes, browser)).claims()).not.toHaveProperty('email');
  });

  it('is told that its user has refused', async () => {
    const begun = await begin(notes);
    const callback = await decide(browser, await open(browser, begun), 'deny');
    expect(Object.fromEntries(callback.searchParams)).toMatchObject({
      error: 'access_denied',
      state: begun.state,
      iss: `${HOME}/oauth`,
    });
  });

  it('gets no scope that its user may not have', async () => {
    const scope = 'probe:read probe:admin';
    expect(await authorize(notes, browser, { scope })).toMatchObject({ scope: 'probe:read' });
    const admin = await browserOf(a, ADMIN);
    const tokens = await authorize(notes, admin, { scope });
    expect(read(tokens.access_token).claims).toMatchObject({ scope });
  });
});

describe('while the keys are rotated', () => {
  it('the new key signs for apps, the former one verifies, and an open authorization goes on', async () => {
    const store = a.get(KeyStore);
    const former = store.current;
    const browser = await browserOf(a);
    const before = await authorize(notes, browser);
    const begun = await begin(notes);
    const page = await open(browser, begun);
    const now = a.clock.now();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    store.replace({
      ...former,
      signing: [
        { kid: 'new-key', privateKey, startsAt: now },
        { ...former.signing[0]!, retiresAt: now + 900_000 },
      ],
      refreshSecrets: [
        { secret: randomBytes(32), startsAt: now },
        { ...former.refreshSecrets[0]!, retiresAt: now + 900_000 },
      ],
    });
    try {
      const tokens = await exchange(notes, await decide(browser, page), begun);
      expect(read(tokens.access_token).header['kid']).toBe('oauth-new-key');
      expect(tokens.claims()).toMatchObject({ sub: browser.userId });
      for (const { access_token: token } of [before, tokens])
        expect(await flags(token)).toMatchObject({ status: 200 });
      const { body } = await a.client().get('/oauth/jwks');
      expect(body.keys.map(({ kid }: { kid: string }) => kid)).toEqual(['oauth-new-key', 'oauth-test-key']);
      expect(JSON.stringify(body)).not.toContain('"d"');
    } finally {
      store.replace(former);
    }
  });
});

describe('the page of consent', () => {
  it('says who asks for what, in words', async () => {
    const browser = await browserOf(a);
    const scope = 'openid offline_access probe:read probe:write';
    const page = await open(browser, await begin(notes, { scope, prompt: 'consent' }));
    expect((await browser.get(`${page}/request`)).body).toEqual({
      account: ALICE.email,
      app: { id: 'notes', name: 'Notes', redirectsTo: 'notes.example' },
      access: [
        {
          service: PRODUCT.name,
          scopes: [
            { scope: 'openid', description: 'Recognise you when you come back' },
            { scope: 'offline_access', description: 'Keep this access after you log out' },
            { scope: 'probe:read', description: 'Read the flags of the tests' },
            { scope: 'probe:write', description: 'Make payments of the tests' },
          ],
        },
      ],
      outlivesSession: true,
    });
    expect(await browser.get(page)).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': expect.stringContaining("script-src 'self';"),
        'x-frame-options': 'DENY',
      },
    });
  });

  it('needs a session: a person who has none logs in on the page', async () => {
    const browser = a.client();
    const page = await open(browser, await begin(notes));
    expect(await browser.get(page)).toMatchObject({ status: 200 });
    expect(await browser.get(`${page}/request`)).toMatchObject({ status: 401 });
    await browser.login(BOB.email, PASSWORD);
    expect(await browser.get(`${page}/request`)).toMatchObject({ status: 200 });
  });
});

describe('a grant ends', () => {
  const lasting = { scope: 'probe:read probe:write offline_access', prompt: 'consent' };
  const refused = async (tokens: { access_token: string; refresh_token?: string }) => {
    for (const app of [a, b]) {
      expect(await pay(tokens.access_token, app)).toMatchObject({
        status: 401,
        body: { code: 'auth.invalid_token' },
      });
    }
    // The app has used it last, so this instance has heard of the end.
    expect(await flags(tokens.access_token)).toMatchObject({ status: 401 });
    await expect(oidc.refreshTokenGrant(notes, tokens.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  };
  interface Scene {
    email: string;
    browser: Client & { userId: string };
    tokens: Awaited<ReturnType<typeof authorize>>;
    admin: Client;
  }
  const scene = async (parameters: Record<string, string>): Promise<Scene> => {
    const { email } = await createUser(a);
    const browser = await browserOf(a, { email });
    const tokens = await authorize(notes, browser, parameters);
    expect(await pay(tokens.access_token)).toMatchObject({ status: 201 });
    return { email, browser, tokens, admin: await loggedIn(a, ADMIN) };
  };
  const endings: [string, (scene: Scene) => Promise<unknown>][] = [
    [
      'an admin has ended all sessions of the user',
      ({ admin, browser }) => admin.delete(`/v1/admin/users/${browser.userId}/sessions`),
    ],
    [
      'the user was banned',
      ({ admin, browser }) => admin.post(`/v1/admin/users/${browser.userId}/ban`, { reason: 'x' }),
    ],
    [
      'the user has changed the password',
      ({ browser }) =>
        browser.post('/v1/auth/password/change', {
          currentPassword: PASSWORD,
          newPassword: 'the kettle sings at noon',
        }),
    ],
    ['the account was deleted', ({ browser }) => browser.delete('/v1/users/me')],
    [
      'its user has ended it',
      async ({ browser }) =>
        browser.delete(`/v1/grants/${(await browser.get('/v1/grants')).body.items[0].id}`),
    ],
    [
      'an admin has ended it',
      async ({ admin, browser }) => {
        const { body } = await admin.get(`/v1/admin/users/${browser.userId}/grants`);
        return admin.delete(`/v1/admin/grants/${body.items[0].id}`);
      },
    ],
    [
      'everyone was logged out',
      ({ admin }) => admin.post('/v1/admin/sessions/end-all', { confirm: 'everyone' }),
    ],
  ];

  it.each(endings)('with offline_access once %s', async (_, end) => {
    const made = await scene(lasting);
    expect([200, 202, 204]).toContain(((await end(made)) as { status: number }).status);
    await refused(made.tokens);
  });

  it.each(endings)('without offline_access once %s', async (_, end) => {
    const made = await scene({ scope: 'probe:read probe:write' });
    expect([200, 202, 204]).toContain(((await end(made)) as { status: number }).status);
    await refused(made.tokens);
  });

  it('without offline_access with its session, and with it not', async () => {
    const short = await scene({ scope: 'probe:read probe:write' });
    await short.browser.post('/v1/auth/logout');
    await refused(short.tokens);
    const long = await scene(lasting);
    await long.browser.post('/v1/auth/logout');
    expect(await pay(long.tokens.access_token)).toMatchObject({ status: 201 });
    const next = await oidc.refreshTokenGrant(notes, long.tokens.refresh_token!);
    expect(await flags(next.access_token)).toMatchObject({ status: 200 });
  });
});

// It advances the clock, so it comes last.
describe('access that outlives the session', () => {
  it('needs a recent proof of identity', async () => {
    const browser = await browserOf(a);
    a.clock.advance(5 * 60_000);
    const lasting = { scope: 'openid offline_access', prompt: 'consent' };
    const page = await open(browser, await begin(notes, lasting));
    expect(await browser.post(`${page}/allow`, {})).toMatchObject({
      status: 401,
      body: { code: 'auth.reauthentication_required', maxAuthAge: 300 },
    });
    expect(await browser.post('/v1/auth/reauthenticate', { password: PASSWORD })).toMatchObject({
      status: 200,
    });
    await decide(browser, page);
  });
});
