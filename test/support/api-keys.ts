import { expect } from '@jest/globals';
import type { TestApp } from './app.js';
import type { Client } from './client.js';

/** A machine with an API key. */
export type Machine = Client & { keyId: string };

/** Creates a key of a logged-in user. @param wanted more than a name and the scopes of the probe routes */
export async function createKey(owner: Client, wanted: object = {}) {
  const answer = await owner.post('/v1/api-keys', {
    name: 'a machine',
    scopes: ['probe:read', 'probe:write'],
    ...wanted,
  });
  expect(answer).toMatchObject({ status: 201 });
  return answer.body as { id: string; key: string; prefix: string };
}

/** A machine with a new key of a logged-in user. */
export async function machineOf(
  app: Pick<TestApp, 'client'>,
  owner: Client,
  wanted: object = {},
): Promise<Machine> {
  const { id, key } = await createKey(owner, wanted);
  return machineWith(app, key, id);
}

/** A machine with this text in `X-API-Key`. */
export function machineWith(app: Pick<TestApp, 'client'>, key: string, keyId = ''): Machine {
  return Object.assign(app.client(), { apiKey: key, keyId });
}
