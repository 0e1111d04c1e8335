import { expect } from '@jest/globals';
import type { Authenticator, Deviation } from './authenticator.js';
import type { Answer, Client } from './client.js';

/** Enrols an authenticator in a session that is fresh. */
export async function enrolPasskey(
  person: Client,
  key: Authenticator,
  { name, ...deviation }: Deviation & { name?: string } = {},
): Promise<Answer> {
  const options = await person.post('/v1/auth/passkeys/options');
  expect(options.status).toBe(200);
  return keepTokens(
    person,
    await person.post('/v1/auth/passkeys', { response: key.create(options.body, deviation), name }),
  );
}

/** What a browser sends to log in: asked of one instance, it may be sent to another one. */
export async function passkeyLogin(client: Client, key: Authenticator, deviation: Deviation = {}) {
  const { status, body: options } = await client.post('/v1/auth/login/passkey/options');
  expect(status).toBe(200);
  const { challengeToken } = options as { challengeToken: string };
  return { challengeToken, response: key.get(options, deviation), transport: 'bearer' };
}

/** Logs in, and keeps what it is given. */
export async function logInWith(client: Client, key: Authenticator, deviation?: Deviation): Promise<Answer> {
  const body = await passkeyLogin(client, key, deviation);
  const headers: Record<string, string> = client.deviceToken ? { 'x-device-token': client.deviceToken } : {};
  return keepTokens(client, await client.post('/v1/auth/login/passkey', body, { headers }));
}

/** Proves it again in a session, and keeps what it is given. */
export async function stepUpWith(person: Client, key: Authenticator, deviation?: Deviation): Promise<Answer> {
  const options = await person.post('/v1/auth/reauthenticate/passkey/options');
  expect(options.status).toBe(200);
  const response = key.get(options.body, deviation);
  return keepTokens(person, await person.post('/v1/auth/reauthenticate/passkey', { response }));
}

export function keepTokens(client: Client, answer: Answer): Answer {
  for (const name of ['accessToken', 'refreshToken', 'deviceToken'] as const)
    if (answer.body?.[name]) client[name] = answer.body[name];
  return answer;
}
