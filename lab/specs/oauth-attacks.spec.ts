import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type AddressInfo, type Server } from 'node:net';
import * as oidc from 'openid-client';
import { PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { read, signed } from '../../test/support/forge.js';
import {
  APPS,
  asApp,
  authorize,
  begin,
  browserOf,
  CALLBACK,
  decide,
  discover,
  exchange,
  HOME,
  OAUTH_ENV,
  open,
  pathOf,
} from '../../test/support/oauth.js';
import { createUser } from '../../test/support/test-users.js';

let app: TestApp;
let notes: oidc.Configuration;
let sync: oidc.Configuration;

beforeAll(async () => {
  await resetStores();
  app = await startApp({ env: { ...OAUTH_ENV, OAUTH_CLIENT_DOCUMENTS: 'on' } });
  notes = await discover(app);
  sync = await discover(app, 'sync');
});
afterAll(() => app.close());

const browserOfNewUser = async () => browserOf(app, await createUser(app));
const flags = (token: string) => asApp(app, token).get('/v1/probe/flags');
const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  app.client().request('POST', `/oauth${path}`, {
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
const opened = async (parameters: Record<string, string>) =>
  (await browserOfNewUser()).get(pathOf((await begin(notes, parameters)).url));
const errorIn = ({ headers }: { headers: Record<string, unknown> }) => {
  const { searchParams, hash } = new URL(String(headers['location']));
  return searchParams.get('error') ?? new URLSearchParams(hash.slice(1)).get('error');
};
/** The token with other contents, signed by our key or another one. */
const forge = (
  token: string,
  { header = {}, claims = {}, key }: { header?: object; claims?: object; key?: KeyObject },
) => signed({ ...read(token).header, ...header }, { ...read(token).claims, ...claims }, key);
const otherKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const INVALID_GRANT = { error: 'invalid_grant' };

describe('a stolen authorization code', () => {
  it('is worthless without the verifier (PKCE)', async () => {
    const browser = await browserOfNewUser();
    const begun = await begin(notes);
    const callback = await decide(browser, await open(browser, begun));
    const thief = { ...begun, verifier: oidc.randomPKCECodeVerifier() };
    await expect(exchange(notes, callback, thief)).rejects.toMatchObject(INVALID_GRANT);
  });

  it('that is used twice ends the grant, and the first tokens with it', async () => {
    const browser = await browserOfNewUser();
    const begun = await begin(notes);
    const callback = await decide(browser, await open(browser, begun));
    const tokens = await exchange(notes, callback, begun);
    await expect(exchange(notes, callback, begun)).rejects.toMatchObject(INVALID_GRANT);
    expect(await flags(tokens.access_token)).toMatchObject({ status: 401 });
    await expect(oidc.refreshTokenGrant(notes, tokens.refresh_token!)).rejects.toMatchObject(INVALID_GRANT);
    const { items } = (await browser.get('/v1/grants')).body;
    expect(items).toEqual([expect.objectContaining({ status: 'ended', endReason: 'token_reuse' })]);
  });

  it('that is used twenty times at once yields tokens once at most', async () => {
    const browser = await browserOfNewUser();
    const begun = await begin(notes);
    const callback = await decide(browser, await open(browser, begun));
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => exchange(notes, callback, begun)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
  });

  it('is refused to another app', async () => {
    const browser = await browserOfNewUser();
    const begun = await begin(notes);
    const callback = await decide(browser, await open(browser, begun));
    await expect(exchange(sync, callback, begun)).rejects.toMatchObject(INVALID_GRANT);
    await expect(exchange(await discover(app, 'other'), callback, begun)).rejects.toMatchObject(
      INVALID_GRANT,
    );
  });
});

describe('an authorization request', () => {
  it.each([
    ['a longer path', `${CALLBACK}/more`],
    ['a shorter path', 'https://notes.example/'],
    ['a path that climbs', `${CALLBACK}/../callback`],
    ['a query', `${CALLBACK}?next=https://thief.example`],
    ['a fragment', `${CALLBACK}#x`],
    ['another host', 'https://thief.example/callback'],
    ['a longer host', 'https://notes.example.thief.example/callback'],
    ['a host after a user', 'https://notes.example@thief.example/callback'],
    ['a subdomain', 'https://www.notes.example/callback'],
    ['another port', 'https://notes.example:8443/callback'],
    ['no TLS', 'http://notes.example/callback'],
    ['upper case', 'https://NOTES.example/callback'],
    ['a backslash', 'https://notes.example\\@thief.example/callback'],
    ['a script', 'javascript:alert(1)'],
    ['a redirect URI of another app', APPS.other.redirect_uris[0]!],
  ])('with %s in its redirect URI is refused without a redirect', async (_, redirect_uri) => {
    const answer = await opened({ redirect_uri });
    expect(answer.status).toBe(400);
    expect(answer.headers['location']).toBeUndefined();
  });

  it('of an unknown app is refused without a redirect, and the page shows no markup of the request', async () => {
    const answer = await opened({ client_id: '<script>alert(1)</script>' });
    expect(answer.status).toBe(400);
    const asPage = await app.client().get('/oauth/authorize?client_id=%3Cscript%3Ex', {
      headers: { accept: 'text/html' },
    });
    expect(asPage).toMatchObject({ status: 400, headers: { 'content-type': expect.stringMatching('html') } });
    expect(asPage.text).not.toContain('<script>');
  });

  it.each<[string, Record<string, string>, string]>([
    ['without PKCE', { code_challenge: '', code_challenge_method: '' }, 'invalid_request'],
    ['with a plain PKCE challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['for the implicit flow', { response_type: 'token' }, 'unsupported_response_type'],
    [
      'for an ID token without a code',
      { response_type: 'id_token', nonce: 'n' },
      'unsupported_response_type',
    ],
    ['that must not ask (prompt=none)', { prompt: 'none' }, 'login_required'],
  ])('%s is refused', async (_, parameters, error) => {
    expect(errorIn(await opened(parameters))).toBe(error);
  });

  it('cannot be decided in another browser than that in which it was begun', async () => {
    const thief = await browserOfNewUser();
    const page = await open(thief, await begin(notes));
    const victim = await browserOfNewUser();
    expect(await victim.get(`${page}/request`)).toMatchObject({ status: 404 });
    expect(await victim.post(`${page}/allow`, {})).toMatchObject({ status: 404 });
    const own = await open(victim, await begin(notes));
    expect(own).not.toBe(page);
    expect(await victim.post(`${page}/allow`, {})).toMatchObject({ status: 404 });
  });

  it('cannot be decided by another site', async () => {
    const victim = await browserOfNewUser();
    const page = await open(victim, await begin(notes));
    for (const [name, value] of [
      ['sec-fetch-site', 'cross-site'],
      ['origin', 'https://thief.example'],
    ] as const) {
      expect(await victim.post(`${page}/allow`, {}, { headers: { [name]: value } })).toMatchObject({
        status: 403,
        body: { code: 'request.cross_site' },
      });
    }
    expect((await victim.get('/v1/grants')).body.items).toEqual([]);
  });

  it('gives access to the person who decides, not to the one who has begun it', async () => {
    const browser = app.client();
    const begun = await begin(notes);
    const page = await open(browser, begun);
    const first = await createUser(app);
    const second = await createUser(app);
    await browser.login(first.email, PASSWORD);
    await browser.get(`${page}/request`);
    const login = await browser.login(second.email, PASSWORD);
    const tokens = await exchange(notes, await decide(browser, page), begun);
    expect(read(tokens.access_token).claims).toMatchObject({ sub: login.body.user.id });
  });
});

describe('the token endpoint', () => {
  it('knows no password grant and no client credentials', async () => {
    for (const grant_type of ['password', 'client_credentials', 'implicit'])
      expect(await post('/token', { grant_type, client_id: 'notes' })).toMatchObject({
        status: 400,
        body: { error: 'unsupported_grant_type' },
      });
  });

  it('refuses an app on a server without its secret, or with a wrong one', async () => {
    const fields = { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'sync' };
    expect(await post('/token', fields)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    const wrong = `Basic ${Buffer.from('sync:another-secret-of-the-app').toString('base64')}`;
    expect(await post('/token', fields, { authorization: wrong })).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    });
  });

  it('gives no more scope at a refresh than the person has allowed', async () => {
    const tokens = await authorize(notes, await browserOfNewUser());
    await expect(
      oidc.refreshTokenGrant(notes, tokens.refresh_token!, { scope: 'probe:read probe:write' }),
    ).rejects.toMatchObject({ error: 'invalid_scope' });
  });

  it('answers a lost refresh again within the grace, and ends the grant at a later second use', async () => {
    const tokens = await authorize(notes, await browserOfNewUser());
    const first = await oidc.refreshTokenGrant(notes, tokens.refresh_token!);
    const again = await oidc.refreshTokenGrant(notes, tokens.refresh_token!);
    expect(await flags(again.access_token)).toMatchObject({ status: 200 });
    app.clock.advance(10_001);
    await expect(oidc.refreshTokenGrant(notes, tokens.refresh_token!)).rejects.toMatchObject(INVALID_GRANT);
    for (const { access_token: token, refresh_token: refresh } of [first, again]) {
      expect(await flags(token)).toMatchObject({ status: 401 });
      await expect(oidc.refreshTokenGrant(notes, refresh!)).rejects.toMatchObject(INVALID_GRANT);
    }
  });

  it('reveals nothing about the token of another app', async () => {
    const tokens = await authorize(sync, await browserOfNewUser());
    for (const token of [tokens.access_token, tokens.refresh_token!]) {
      expect(await oidc.tokenIntrospection(notes, token)).toEqual({ active: false });
      await oidc.tokenRevocation(notes, token);
    }
    expect(await flags(tokens.access_token)).toMatchObject({ status: 200 });
  });
});

describe('any input', () => {
  const fields = [
    'client_id',
    'client_secret',
    'grant_type',
    'code',
    'code_verifier',
    'redirect_uri',
    'refresh_token',
    'token',
    'token_type_hint',
    'scope',
    'resource',
    'response_type',
    'state',
    'nonce',
    'prompt',
    'max_age',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'claims',
  ];
  /** Texts that mean something here, and texts of any kind. */
  const value = fc.oneof(
    fc.constantFrom(
      'notes',
      'sync',
      'code',
      'authorization_code',
      'refresh_token',
      'S256',
      'openid',
      CALLBACK,
      '-1',
    ),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  const input = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 8 });

  it.each(['/token', '/introspect', '/revoke', '/par'])(
    'at %s is answered without a server error',
    async (path) => {
      await fc.assert(
        fc.asyncProperty(input, async (given) => {
          const { status } = await post(path, given);
          expect([200, 201, 400, 401]).toContain(status);
        }),
        { numRuns: 150 },
      );
    },
  );

  it('at /authorize is answered without a server error, and leads to no address that is not registered', async () => {
    const browser = app.client();
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        const { status, headers } = await browser.get(
          `/oauth/authorize?${new URLSearchParams(given).toString()}`,
        );
        expect([303, 400]).toContain(status);
        const { origin } = new URL(String(headers['location'] ?? HOME), HOME);
        expect([HOME, new URL(CALLBACK).origin]).toContain(origin);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a token of an app', () => {
  it.each<[string, (token: string) => string]>([
    ['signed by another key', (token) => forge(token, { key: otherKey() })],
    ['without a signature', (token) => `${token.split('.').slice(0, 2).join('.')}.`],
    ['with alg none', (token) => forge(token, { header: { alg: 'none' }, key: otherKey() })],
    [
      'with more scope',
      (token) => forge(token, { claims: { scope: 'probe:read probe:write' }, key: otherKey() }),
    ],
  ])('%s is refused', async (_, change) => {
    const { access_token: token } = await authorize(notes, await browserOfNewUser());
    expect(await flags(change(token))).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
  });

  it.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: HOME }],
    ['another audience', { aud: 'notes' }],
    ['a longer life', { exp: Math.floor(Date.now() / 1_000) + 3_600 }],
    ['a claim that we do not make', { roles: ['admin'] }],
    ['no grant', { grant_id: undefined }],
  ])('with %s is refused, even if it is signed by our key', async (_, claims) => {
    const { access_token: token } = await authorize(notes, await browserOfNewUser());
    const forged = forge(token, { claims });
    expect(await flags(forged)).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
  });

  it('is not taken from a cookie, and the token of a session is none of an app', async () => {
    const browser = await browserOfNewUser();
    const { access_token: token } = await authorize(notes, browser);
    const inCookie = app.client();
    inCookie.jar.set('__Host-access', token);
    expect(await inCookie.get('/v1/probe/flags')).toMatchObject({ status: 401 });
    expect(await flags(browser.jar.get('__Host-access')!)).toMatchObject({ status: 401 });
  });

  it('with a cookie or a key beside it is refused', async () => {
    const browser = await browserOfNewUser();
    const { access_token: token } = await authorize(notes, browser);
    browser.accessToken = token;
    expect(await browser.get('/v1/probe/flags')).toMatchObject({
      status: 400,
      body: { code: 'auth.ambiguous_credentials' },
    });
  });

  it('that is issued while its grant ends is refused everywhere once the end is applied', async () => {
    for (let round = 0; round < 10; round++) {
      const browser = await browserOfNewUser();
      const begun = await begin(notes, { scope: 'probe:read probe:write' });
      const callback = await decide(browser, await open(browser, begun));
      const [grant] = (await browser.get('/v1/grants')).body.items;
      const [tokens, end] = await Promise.allSettled([
        exchange(notes, callback, begun),
        browser.delete(`/v1/grants/${grant.id}`),
      ]);
      expect(end).toMatchObject({ value: { status: 200, body: { status: 'applied' } } });
      if (tokens.status === 'rejected') continue;
      const { access_token: token, refresh_token: refresh } = tokens.value;
      expect(await flags(token)).toMatchObject({ status: 401 });
      expect(await asApp(app, token).pay(`race-${round}`)).toMatchObject({ status: 401 });
      await expect(oidc.refreshTokenGrant(notes, refresh!)).rejects.toMatchObject(INVALID_GRANT);
    }
  });
});

describe('a document that describes an app', () => {
  let server: Server;
  let connections = 0;
  beforeAll(async () => {
    server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterAll(() => new Promise((done) => server.close(done)));

  it.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433'])(
    'is not fetched from an address inside our network (%s)',
    async (host) => {
      const { port } = server.address() as AddressInfo;
      const client_id = `https://${host}:${port}/app.json`;
      const answer = await opened({ client_id, redirect_uri: `${client_id}/callback` });
      expect(answer).toMatchObject({ status: 400 });
      expect(connections).toBe(0);
    },
  );

  it('lets an app in that is not configured, under the name and the host of the document', async () => {
    // A public address, so that no name has to be resolved. No request leaves the process.
    const client_id = 'https://93.184.216.34/app.json';
    const redirect_uri = 'https://93.184.216.34/callback';
    const fetched = jest.spyOn(globalThis, 'fetch').mockImplementation(async () =>
      Response.json({
        client_id,
        client_name: 'A stranger',
        redirect_uris: [redirect_uri],
        token_endpoint_auth_method: 'none',
      }),
    );
    try {
      const browser = await browserOfNewUser();
      const begun = await begin(notes, { client_id, redirect_uri });
      const page = await open(browser, begun);
      expect((await browser.get(`${page}/request`)).body.app).toEqual({
        id: client_id,
        name: 'A stranger',
        redirectsTo: '93.184.216.34',
      });
      const callback = await decide(browser, page);
      const answer = await post('/token', {
        grant_type: 'authorization_code',
        client_id,
        redirect_uri,
        code: callback.searchParams.get('code')!,
        code_verifier: begun.verifier,
      });
      expect(answer).toMatchObject({ status: 200, body: { scope: 'probe:read' } });
      expect(await flags(answer.body.access_token)).toMatchObject({ status: 200 });
      expect(fetched).toHaveBeenCalledTimes(1); // the document is cached
    } finally {
      fetched.mockRestore();
    }
  });

  it('is not fetched without TLS', async () => {
    expect(await opened({ client_id: 'http://app.example/app.json' })).toMatchObject({ status: 400 });
  });
});
