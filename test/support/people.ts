import { expect } from '@jest/globals';
import type { Principal } from '../../src/common/request.js';
import { SessionCheck } from '../../src/sessions/session-check.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { PASSWORD, type TestApp } from './app.js';
import type { Client } from './client.js';

/** Somebody who has logged in, with the id of the session that began then. */
export type Person = Client & { id: string; userId: string };

export async function loggedIn(
  app: Pick<TestApp, 'client'>,
  { email }: { email: string },
  transport: Transport = 'bearer',
): Promise<Person> {
  const client = app.client();
  const login = await client.login(email, PASSWORD, { transport });
  expect(login.status).toBe(200);
  return Object.assign(client, {
    id: login.body.session.id as string,
    userId: login.body.user.id as string,
  });
}

/**
 * What the session check alone says: `live`, why the session has ended, or the code of the problem. Over HTTP the
 * access tier stands in front of it, and may have heard of the end by itself.
 */
export function sessionTier(
  app: Pick<TestApp, 'get'>,
  { id, userId }: Pick<Person, 'id' | 'userId'>,
  consistency: 'cached' | 'strict' = 'cached',
): Promise<string> {
  const principal = { sessionId: id, userId } as Principal;
  return app
    .get(SessionCheck)
    .require(principal, { consistency })
    .then(
      () => 'live',
      ({ code, options }) => options?.members?.reason ?? code,
    );
}

/** Both tiers over HTTP, and where they are to refuse also the session tier by itself. */
export async function expectBothTiers(client: Client | Person, outcome: object): Promise<void> {
  const { reason } = (outcome as { body?: { reason?: string } }).body ?? {};
  if (reason && 'id' in client) expect(await sessionTier(client['app'], client)).toBe(reason);
  expect(await client.get('/v1/sessions/current')).toMatchObject(outcome);
  expect(await client.get('/v1/feature-flags')).toMatchObject(outcome);
}
