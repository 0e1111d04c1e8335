import { expect } from '@jest/globals';
import type { Transport } from '../../src/sessions/session.entity.js';
import type { TestApp } from './app.js';
import { Authenticator, type Deviation } from './authenticator.js';
import type { Answer, Client } from './client.js';
import { loggedIn, type Person } from './test-users.js';

export const ORIGIN = 'https://app.example.com';
/** Pages on two hosts of one domain, and one of another domain. */
export const PASSKEY_ENV = {
  APP_URL: `${ORIGIN}/account`,
  PASSKEY_RP_ID: 'example.com',
  TRUSTED_ORIGINS: 'https://shop.example.com,https://example.org',
};
export const PASSKEYS = '/v1/auth/passkeys';
export const PASSKEY_LOGIN = '/v1/auth/login/passkey';
export const PASSKEY_STEP_UP = '/v1/auth/reauthenticate/passkey';

export interface Holder {
  me: Person;
  key: Authenticator;
  /** The id of the passkey. */
  id: string;
}

/** A user with a passkey, in the session that has created it. */
export async function holderOf(
  app: TestApp,
  email: string,
  key = new Authenticator(ORIGIN),
  transport: Transport = 'bearer',
): Promise<Holder> {
  const me = await loggedIn(app, { email }, transport);
  const answer = await enrolPasskey(me, key);
  expect(answer.status).toBe(201);
  return { me, key, id: answer.body.id };
}

/** The audit events of a user, oldest first. */
export function eventsOf({ query }: Pick<TestApp, 'query'>, userId: string, type: string) {
  return query<{ type: string; details: Record<string, unknown> }>(
    'select type, details from audit_events where user_id = $1 and type like $2 order by id',
    [userId, type],
  );
}

/** Enrols an authenticator in a fresh session. */
export async function enrolPasskey(
  person: Client,
  key: Authenticator,
  { name, ...deviation }: Deviation & { name?: string } = {},
): Promise<Answer> {
  const options = await person.post(`${PASSKEYS}/options`);
  expect(options.status).toBe(200);
  return keepTokens(
    person,
    await person.post(PASSKEYS, { response: key.create(options.body, deviation), name }),
  );
}

/** The body with which a browser logs in. The challenge is of one instance, and any instance accepts the answer. */
export async function passkeyLogin(client: Client, key: Authenticator, deviation: Deviation = {}) {
  const { status, body: options } = await client.post(`${PASSKEY_LOGIN}/options`);
  expect(status).toBe(200);
  const { challengeToken } = options as { challengeToken: string };
  return { challengeToken, response: key.get(options, deviation), transport: 'bearer' };
}

/** Logs in, and keeps the tokens. */
export async function logInWith(client: Client, key: Authenticator, deviation?: Deviation): Promise<Answer> {
  const body = await passkeyLogin(client, key, deviation);
  const headers: Record<string, string> = client.deviceToken ? { 'x-device-token': client.deviceToken } : {};
  return keepTokens(client, await client.post(PASSKEY_LOGIN, body, { headers }));
}

/** Steps up, and keeps the tokens. */
export async function stepUpWith(person: Client, key: Authenticator, deviation?: Deviation): Promise<Answer> {
  const options = await person.post(`${PASSKEY_STEP_UP}/options`);
  expect(options.status).toBe(200);
  const response = key.get(options.body, deviation);
  return keepTokens(person, await person.post(PASSKEY_STEP_UP, { response }));
}

export function keepTokens(client: Client, answer: Answer): Answer {
  for (const name of ['accessToken', 'refreshToken', 'deviceToken'] as const)
    if (answer.body?.[name]) client[name] = answer.body[name];
  return answer;
}
