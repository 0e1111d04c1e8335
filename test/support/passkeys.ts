import { expect } from '@jest/globals';
import type { Transport } from '../../src/sessions/session.entity.js';
import { ALICE, type TestApp } from './app.js';
import { Authenticator, type Deviation } from './authenticator.js';
import type { Answer, Client } from './client.js';
import { loggedIn, type Person } from './people.js';

export const ORIGIN = 'https://app.example.com';
/** Pages on two hosts of one domain, and one that is not of it. */
export const PASSKEY_ENV = {
  APP_URL: `${ORIGIN}/account`,
  PASSKEY_RP_ID: 'example.com',
  TRUSTED_ORIGINS: 'https://shop.example.com,https://example.org',
};
export const PASSKEYS = '/v1/auth/passkeys';
export const PASSKEY_LOGIN = '/v1/auth/login/passkey';
export const PASSKEY_STEP_UP = '/v1/auth/reauthenticate/passkey';

let count = 0;

/** @returns the address of somebody who was not here before, with the password of all of them */
export async function newcomer({ query }: Pick<TestApp, 'query'>, roles = ['user']): Promise<string> {
  const address = `somebody${(count += 1)}@example.com`;
  await query(
    `insert into users (id, email, password_hash, roles, email_verified_at, created_at)
     select gen_random_uuid(), $1, password_hash, $3, now(), now() from users where id = $2`,
    [address, ALICE.id, roles],
  );
  return address;
}

export interface Holder {
  me: Person;
  key: Authenticator;
  /** Of the passkey. */
  id: string;
}

/** Somebody who has a passkey, in the session that has made it. */
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

/** What the audit log says of somebody, oldest first. */
export function eventsOf({ query }: Pick<TestApp, 'query'>, userId: string, type: string) {
  return query<{ type: string; details: Record<string, unknown> }>(
    'select type, details from audit_events where user_id = $1 and type like $2 order by id',
    [userId, type],
  );
}

/** Enrols an authenticator in a session that is fresh. */
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

/** What a browser sends to log in: asked of one instance, it may be sent to another one. */
export async function passkeyLogin(client: Client, key: Authenticator, deviation: Deviation = {}) {
  const { status, body: options } = await client.post(`${PASSKEY_LOGIN}/options`);
  expect(status).toBe(200);
  const { challengeToken } = options as { challengeToken: string };
  return { challengeToken, response: key.get(options, deviation), transport: 'bearer' };
}

/** Logs in, and keeps what it is given. */
export async function logInWith(client: Client, key: Authenticator, deviation?: Deviation): Promise<Answer> {
  const body = await passkeyLogin(client, key, deviation);
  const headers: Record<string, string> = client.deviceToken ? { 'x-device-token': client.deviceToken } : {};
  return keepTokens(client, await client.post(PASSKEY_LOGIN, body, { headers }));
}

/** Proves it again in a session, and keeps what it is given. */
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
