import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Principal } from '../../src/platform/http/request.js';
import type { Role } from '../../src/roles.js';
import { mayHave, SCOPES, type Scope } from '../../src/scopes.js';
import { KeyDelivery } from '../../src/sessions/refresh/key-delivery.js';
import type { Grant } from '../../src/auth/login/auth.schemas.js';
import { random } from '../../src/platform/runtime/random.js';
import { TokenResponder } from '../../src/auth/login/token-responder.js';
import { UserRepository } from '../../src/users/user.repository.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { SessionCheck } from '../../src/sessions/check/session-check.js';
import { keyVersionOfTokenId } from '../../src/sessions/token-id.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { ALICE, PASSWORD, type TestApp } from './app.js';
import type { Client } from './client.js';
import { read } from './forge.js';
import { COOKIES } from './cookies.js';
import { eventually } from './waiting.js';

/** A logged-in user, with the id of the session that began with the login. */
export type Person = Client & { id: string; userId: string };
export type TestUser = Person & { email: string; deviceId: string };

/**
 * A user with a session. The password is not hashed, which would take most of the time of a login: tests of logins call
 * `client.login()`. An application that is only reached over HTTP is logged in to with the password.
 */
export async function loggedIn(
  app: Pick<TestApp, 'client'> & Partial<Pick<TestApp, 'get'>>,
  { email }: { email: string },
  transport: Transport = 'bearer',
): Promise<TestUser> {
  const client = app.client();
  const { user, session } = app.get
    ? await beginSession(app.get, client, email, transport)
    : (await client.login(email, PASSWORD, { transport })).body;
  return Object.assign(client, { id: session.id, userId: user.id, deviceId: session.device.id, email });
}

/** Does what a login does after its proofs. */
async function beginSession(
  get: TestApp['get'],
  client: Client,
  email: string,
  transport: Transport,
): Promise<Pick<Grant, 'user' | 'session'>> {
  const { id: userId } = (await get(UserRepository).findByEmail(email))!;
  const context = { ip: '127.0.0.1', userAgent: 'lightMyRequest', place: null, requestId: random.uuid() };
  const input = { userId, transport, deviceToken: null, context };
  const grant = await get(SessionsService).create(input, () => true);
  const reply = {
    request: {},
    header: (header: string, cookie: string) => {
      if (header !== 'set-cookie') return;
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      client.jar.set(name!, value!);
    },
  };
  const answer = get(TokenResponder).send(reply as never, grant!);
  const { accessToken, refreshToken, deviceToken } = answer;
  Object.assign(client, { accessToken, refreshToken, deviceToken });
  return answer;
}

/** A new account that no other test uses, with the password of the demo users; not logged in. */
export async function createUser(
  { query }: Pick<TestApp, 'query'>,
  roles: Role[] = ['user'],
): Promise<{ email: string }> {
  const email = `${randomUUID()}@newcomers.example`;
  await query(
    `insert into users (id, email, email_verified_at, password_hash, roles, display_name, created_at)
     select gen_random_uuid(), $2, created_at, password_hash, $3, 'Newcomer', created_at from users where id = $1`,
    [ALICE.id, email, roles],
  );
  return { email };
}

/**
 * The answer of the session check alone: `live`, the reason why the session has ended, or the code of the problem.
 * Over HTTP the access tier comes first, and may know of the end by itself.
 */
export function sessionTier(
  app: Pick<TestApp, 'get'>,
  { id, userId, ...held }: Pick<Person, 'id' | 'userId'> & Partial<Pick<Person, 'accessToken' | 'jar'>>,
  consistency: 'cached' | 'strict' = 'cached',
): Promise<string> {
  const token = held.accessToken ?? held.jar?.get(COOKIES.access);
  const keyVersion = token ? keyVersionOfTokenId(read(token).claims['jti'] as string) : 0;
  const principal = { sessionId: id, userId, keyVersion } as Principal;
  return app
    .get(SessionCheck)
    .require(principal, { consistency })
    .then(
      () => 'live',
      ({ code, options }) => options?.members?.reason ?? code,
    );
}

/**
 * The last request of a session has shown its new keys, and this is recorded. @param later when no delayed request
 * can arrive any more
 */
export async function keysDelivered(
  { get, clock }: Pick<TestApp, 'get' | 'clock'>,
  { later = false } = {},
): Promise<void> {
  await get(KeyDelivery).settled();
  // Longer than a delayed request may take: five graces.
  if (later) clock.advance(50_001);
}

/**
 * Checks both tiers over HTTP, and for refusals also the session tier by itself. The access tier of another instance
 * refuses a session once the notice of its end has arrived, which may take a while on a busy machine.
 */
export async function expectBothTiers(client: Client | Person, outcome: object): Promise<void> {
  const { reason } = (outcome as { body?: { reason?: string } }).body ?? {};
  if (reason && 'id' in client) expect(await sessionTier(client['app'], client)).toBe(reason);
  expect(await client.get('/v1/sessions/current')).toMatchObject(outcome);
  const checkAccessTier = async () => expect(await client.get('/v1/probe/flags')).toMatchObject(outcome);
  await (reason ? eventually(checkAccessTier) : checkAccessTier());
}

/** Creates so many users, each with a live session, in one statement. */
export async function createUsers({ query }: Pick<TestApp, 'query'>, count: number): Promise<void> {
  await query(
    `with people as (
       insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), gen_random_uuid() || '@many.example', 'x', now() from generate_series(1, $1) returning id
     ), installed as (
       insert into devices (id, user_id, token_digest, name, first_seen_at, last_seen_at)
       select gen_random_uuid(), id, sha256(id::text::bytea), 'x', now(), now() from people returning id, user_id
     )
     insert into sessions (id, user_id, device_id, transport, created_at, last_seen_at, authenticated_at, refresh_nonce, rotation)
     select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || substr(md5(user_id::text), 1, 16))::uuid,
            user_id, id, 'cookie', now(), now(), now(), substring(sha256(id::text::bytea) for 16), '{}'
     from installed`,
    [count],
  );
}

/** Every scope that needs no role, those of all features too. */
export const scopesOfUsers = (): string[] =>
  SCOPES.names().filter((name) => mayHave(name as Scope, ['user']));
