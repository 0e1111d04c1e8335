import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { SignJWT, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { TestApp } from './app.js';
import { expect } from '@jest/globals';
import type { Answer, Client } from './client.js';
import { freePort, OutsidePerson, signInAt, startOutsideProvider } from './outside-person.js';

/** An outside provider that also ends everything of its users here, as Okta does (Universal Logout). */
export interface RevokingProvider {
  name: string;
  issuer: string;
  key: KeyObject;
  stop: () => Promise<void>;
}

/** Where the application is, for the providers. No request leaves the process. */
export const HOME = 'https://app.example';
const CLIENT = { clientId: 'the-app', clientSecret: 'a-secret-of-the-app-for-the-provider' };
const KEY_ID = 'the-key';
/** The provider `acme` speaks for this domain. */
export const DOMAIN = 'acme.example';

export const newKey = (): KeyObject => generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;

async function startProvider(name: string): Promise<RevokingProvider> {
  const key = newKey();
  const client = {
    client_id: CLIENT.clientId,
    client_secret: CLIENT.clientSecret,
    token_endpoint_auth_method: 'client_secret_post',
    redirect_uris: [`${HOME}/v1/auth/social/${name}/callback`],
  };
  const jwk = { ...key.export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256', use: 'sig' };
  return { name, key, ...(await startOutsideProvider(await freePort(), [client], { keys: [jwk] })) };
}

/**
 * Starts two providers that may end everything of their users.
 *
 * @returns them, and the environment of an application that knows them. It also has `silent`, the provider `acme`
 *   without this right, and `dead`, which does not answer
 */
export async function startRevokingProviders() {
  const [acme, other] = [await startProvider('acme'), await startProvider('other')];
  const providers = {
    acme: { ...CLIENT, issuer: acme.issuer, globalTokenRevocation: { emailDomains: [DOMAIN.toUpperCase()] } },
    other: { ...CLIENT, issuer: other.issuer, globalTokenRevocation: {} },
    silent: { ...CLIENT, issuer: acme.issuer },
    dead: { ...CLIENT, issuer: 'http://127.0.0.1:1', globalTokenRevocation: {} },
  };
  const stop = () => Promise.all([acme.stop(), other.stop()]);
  return { acme, other, stop, env: { APP_URL: HOME, SOCIAL_PROVIDERS: JSON.stringify(providers) } };
}

/** A new user who has signed in with a new account of a provider, in a browser. */
export async function outsideUser(
  app: Pick<TestApp, 'client'>,
  { name, issuer }: RevokingProvider,
): Promise<{ browser: Client; email: string; sub: string }> {
  const email = `${randomUUID()}@newcomers.example`;
  const sub = `verified:${email}`;
  const browser = app.client();
  const { headers } = await signInAt(name, browser, new OutsidePerson(issuer, sub));
  expect(headers['location']).toMatch(/#social=signed_in$/);
  return { browser, email, sub };
}

/** The changes of a token that is right in everything else. `undefined` removes a claim. */
export interface TokenChanges {
  header?: Partial<JWTHeaderParameters>;
  claims?: Record<string, unknown>;
  /** In seconds from now. */
  times?: { iat?: number; exp?: number; nbf?: number };
  key?: KeyObject;
}

/** The token of a call, as Okta documents it: valid for 5 minutes, issued now, "not before" in the past. */
export function revocationToken(
  app: Pick<TestApp, 'clock'>,
  { name, issuer, key: own }: RevokingProvider,
  { header, claims, times: { iat = 0, exp = 300, nbf = -300 } = {}, key = own }: TokenChanges = {},
): Promise<string> {
  const now = Math.floor(app.clock.now() / 1_000);
  const payload: JWTPayload = {
    jti: randomUUID(),
    iss: issuer,
    sub: CLIENT.clientId,
    aud: HOME + pathOfRevocation(name),
    iat: now + iat,
    nbf: now + nbf,
    exp: now + exp,
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'RS256', typ: 'global-token-revocation+jwt', kid: KEY_ID, ...header })
    .sign(key);
}

export const pathOfRevocation = (provider: string) => `/v1/auth/social/${provider}/global-token-revocation`;

/** A call of a provider. */
export function callToRevoke(
  app: Pick<TestApp, 'client'>,
  provider: string,
  token: string,
  subject: unknown,
): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}` };
  return app.client().post(pathOfRevocation(provider), { sub_id: subject }, { headers });
}
