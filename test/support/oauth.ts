import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import * as oidc from 'openid-client';
import { GrantsService } from '../../src/auth/oauth/grants.service.js';
import { OAuthResources } from '../../src/auth/oauth/provider/resources.js';
import { ALICE, PASSWORD, type TestApp } from './app.js';
import type { Client } from './client.js';
import { signed } from './forge.js';

/** Where the application is, for the clients of these tests. No request leaves the process. */
export const HOME = 'https://app.example';
export const CALLBACK = 'https://notes.example/callback';
export const TOOLS = 'https://tools.example/mcp';
/** 32 characters or more, as a secret of an app should have. */
const SECRET = 'a-secret-of-the-app-on-a-server-1';

/** A public app (PKCE alone), one on a server (with a secret), and another that must not get what belongs to them. */
export const APPS = {
  notes: {
    client_id: 'notes',
    client_name: 'Notes',
    redirect_uris: [CALLBACK, 'https://notes.example/other'],
  },
  sync: { client_id: 'sync', client_name: 'Sync', client_secret: SECRET, redirect_uris: [CALLBACK] },
  other: { client_id: 'other', client_name: 'Other', redirect_uris: ['https://other.example/callback'] },
};

/** For tests that need apps, but no client that finds the provider by its address. */
export const APPS_ENV = {
  OAUTH_PROVIDER: 'on',
  OAUTH_CLIENTS: JSON.stringify(Object.values(APPS)),
};

export const OAUTH_ENV = {
  ...APPS_ENV,
  APP_URL: HOME,
  OAUTH_RESOURCES: JSON.stringify({ [TOOLS]: { name: 'Tools', scopes: { 'tools:use': 'Use your tools' } } }),
};

/** `fetch` for independent clients: the same HTTP stack as in production, but for the socket. */
export const fetchFrom =
  ({ app }: Pick<TestApp, 'app'>): typeof fetch =>
  async (input, options) => {
    const request = new Request(input as string, options);
    const { origin, pathname, search } = new URL(request.url);
    if (origin !== HOME) throw new TypeError(`no request may leave for ${origin}`);
    const payload = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    const response = await app.inject({
      method: request.method as 'GET',
      url: pathname + search,
      headers: Object.fromEntries(request.headers),
      ...(payload && { payload }),
    });
    const headers = new Headers();
    for (const [name, value] of Object.entries(response.headers)) {
      for (const each of [value ?? []].flat()) headers.append(name, String(each));
    }
    const body = response.body === '' ? null : response.body;
    return new Response([204, 303].includes(response.statusCode) ? null : body, {
      status: response.statusCode,
      headers,
    });
  };

/** An app as `openid-client` makes one, by discovery. */
export function discover(app: Pick<TestApp, 'app'>, name: keyof typeof APPS = 'notes') {
  const { client_id, client_secret } = { client_secret: undefined, ...APPS[name] };
  const authentication = client_secret === undefined ? oidc.None() : oidc.ClientSecretBasic(client_secret);
  return oidc.discovery(new URL(`${HOME}/oauth`), client_id, client_secret, authentication, {
    [oidc.customFetch]: fetchFrom(app),
  });
}

/** The side of the app of an authorization that has begun. */
export interface Begun {
  url: URL;
  verifier: string;
  state: string;
}

/** Begins an authorization, as an app does. */
export async function begin(
  config: oidc.Configuration,
  parameters: Record<string, string> = {},
): Promise<Begun> {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: config.clientMetadata().client_id === 'other' ? APPS.other.redirect_uris[0]! : CALLBACK,
    scope: 'openid probe:read',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...parameters,
  });
  return { url, verifier, state };
}

/** A browser in which a person has logged in. */
export async function browserOf(
  app: Pick<TestApp, 'client'>,
  { email }: { email: string } = ALICE,
): Promise<Client & { userId: string; id: string }> {
  const browser = app.client();
  const login = await browser.login(email, PASSWORD);
  expect(login.status).toBe(200);
  return Object.assign(browser, { userId: login.body.user.id, id: login.body.session.id });
}

export const pathOf = (location: unknown) => String(location).replace(HOME, '');

/** Opens an authorization in a browser. @returns the path of the page of consent */
export async function open(browser: Client, { url }: Pick<Begun, 'url'>): Promise<string> {
  const answer = await browser.get(pathOf(url));
  expect([answer.status, answer.text]).toEqual([303, expect.anything()]);
  return pathOf(answer.headers['location']);
}

/** Decides on the page of consent. @returns the address of the app to which the browser goes on */
export async function decide(
  browser: Client,
  page: string,
  decision: 'allow' | 'deny' = 'allow',
  home = HOME,
): Promise<URL> {
  const answer = await browser.post(`${page}/${decision}`, {});
  expect(answer).toMatchObject({ status: 200 });
  const resumed = await browser.get(String(answer.body.redirectTo).replace(home, ''));
  expect([resumed.status, resumed.text]).toEqual([303, expect.anything()]);
  return new URL(String(resumed.headers['location']));
}

/** The whole flow. @returns what the app gets from the token endpoint */
export async function authorize(
  config: oidc.Configuration,
  browser: Client,
  parameters: Record<string, string> = {},
) {
  const begun = await begin(config, parameters);
  const callback = await decide(browser, await open(browser, begun));
  return exchange(config, callback, begun);
}

export function exchange(config: oidc.Configuration, callback: URL, { verifier, state }: Begun) {
  return oidc.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
}

/**
 * An app with a grant and a token of it, without the browser's part.
 *
 * @param claims other ones than the provider would make
 */
export async function appOf(
  app: Pick<TestApp, 'client' | 'get'>,
  { id, userId }: { id: string; userId: string },
  scopes: readonly string[],
  claims: Record<string, unknown> = {},
): Promise<Client & { grantId: string }> {
  const { issuer, home } = app.get(OAuthResources);
  const grantId = await app
    .get(GrantsService)
    .give(
      { id, userId },
      { clientId: 'notes', clientName: 'Notes', scopes, outlivesSession: true },
      { ip: null, userAgent: null, place: null, requestId: 'a test' },
    );
  const iat = Math.floor(Date.now() / 1_000);
  const own = { iss: issuer, aud: home, sub: userId, client_id: 'notes', scope: scopes.join(' ') };
  const all = { ...own, grant_id: grantId, jti: randomUUID(), iat, exp: iat + 600, ...claims };
  const accessToken = signed({ alg: 'ES256', typ: 'at+jwt', kid: 'oauth-test-key' }, all);
  return Object.assign(app.client(), { accessToken, grantId });
}

/** A request of an app with its access token. */
export function asApp(app: Pick<TestApp, 'client'>, accessToken: string): Client {
  return Object.assign(app.client(), { accessToken });
}
