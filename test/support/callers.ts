import { expect } from '@jest/globals';
import { ApiKeyFormat } from '../../src/auth/api-keys/api-key-format.js';
import type { ProblemCode } from '../../src/platform/api/problem.js';
import { random } from '../../src/platform/runtime/random.js';
import type { Role } from '../../src/roles.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { mintTokenId } from '../../src/sessions/token-id.js';
import { createKey, machineOf, machineWith } from './api-keys.js';
import { ADMIN, type TestApp } from './app.js';
import type { Caller, CallerKind } from './caller-kind.js';
import type { Client } from './client.js';
import { HEADER, read, signed } from './forge.js';
import type { Mailbox } from './mailbox.js';
import type { Operation } from './operations.js';
import { OPTIONAL_PARTS } from './optional-parts.js';
import { createUser, loggedIn, scopesOfUsers, type TestUser } from './test-users.js';
import { COOKIES } from './cookies.js';

/** The user whose things a caller may see; undefined if the caller shows no account. */
export function ownerBehind(caller: Caller): TestUser | undefined {
  return 'userId' in caller ? (caller as TestUser) : caller.behind;
}

/** The promise of the operation's own declarations for this caller: `acknowledged`, or the code of a problem. */
export function promised(
  {
    'x-tier': tier,
    'x-roles': wanted,
    'x-scope': scope,
    'x-apps': allowsApps,
    'x-machines-only': refusesPeople,
  }: Operation,
  { everywhere, access, session, isStale, roles = ['user'], claimed = roles, scopes, key, isApp }: CallerKind,
): ProblemCode | 'accepted' {
  if (everywhere) return everywhere;
  if (tier === 'public') return 'accepted';
  if (scopes) {
    if (scope === undefined || (isApp && !allowsApps)) return 'auth.unauthenticated';
    if (key) return key;
    if (!scopes.includes(scope)) return 'auth.insufficient_scope';
    return (tier !== 'access' && session) || 'accepted';
  }
  if (access) return access;
  if (refusesPeople) return 'auth.forbidden';
  if (tier !== 'access' && session) return session;
  if (tier === 'fresh' && isStale) return 'auth.reauthentication_required';
  const judged = tier === 'access' ? claimed : roles;
  if (wanted && !judged.some((role) => wanted.includes(role))) return 'auth.forbidden';
  return 'accepted';
}

/** The scope of the routes for machines only. */
export const FEED_SCOPES = ['revocations:read'];

const STALE_MS = 10 * 60_000;

export function callerKinds(app: TestApp, mailbox: Mailbox): Record<string, CallerKind> {
  const person = async (transport: Transport, roles: Role[] = ['user']) =>
    loggedIn(app, await createUser(app, roles), transport);
  /** Any token in the place where a transport has its token. */
  const holding = (transport: Transport, token: string): Client => {
    const client = app.client();
    if (transport === 'bearer') client.accessToken = token;
    else client.jar.set(COOKIES.access, token);
    return client;
  };
  /** Another token in the place of an access token. */
  const inPlaceOfOne = (other: (owner: TestUser) => string | Promise<string>) => ({
    make: async (transport: Transport) => holding(transport, await other(await person('bearer'))),
    access: 'auth.invalid_token' as const,
  });
  const ofUsers = scopesOfUsers();
  const machine = async (wanted: object = {}): Promise<Caller> => {
    const behind = await person('bearer');
    return Object.assign(await machineOf(app, behind, { scopes: ofUsers, ...wanted }), { behind });
  };
  /** A machine after something has happened to its key, which is cached if it was used before. */
  const keyAfter = (
    act: (key: { id: string }, owner: TestUser) => Promise<unknown>,
    { isUsedBefore = true } = {},
  ): CallerKind => ({
    make: async () => {
      const owner = await person('bearer');
      const { id, key } = await createKey(owner);
      const client = machineWith(app, key);
      if (isUsedBefore) expect((await client.get('/v1/probe/flags')).status).toBe(200);
      await act({ id }, owner);
      return client;
    },
    scopes: [],
    key: 'auth.invalid_key',
  });
  const wrongKey = (spoil: (key: string) => string): CallerKind => ({
    make: async () => machineWith(app, spoil((await machine()).apiKey!)),
    scopes: [],
    key: 'auth.invalid_key',
  });
  const idIn = (key: string) =>
    key.slice(5, 37).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  /** An access token in a place that the server does not read. */
  const elsewhere = (headersOf: (owner: TestUser) => Record<string, string>) => ({
    make: async () => {
      const client = app.client();
      client.headers = headersOf(await person('bearer'));
      return client;
    },
    access: 'auth.unauthenticated' as const,
  });
  /** A user after an action of an admin. */
  const after = async (
    transport: Transport,
    act: (admin: Client, of: TestUser) => Promise<{ status: number }>,
  ) => {
    const of = await person(transport);
    const { status } = await act(await loggedIn(app, ADMIN), of);
    if (status !== 200) throw new Error(`the admin's request was answered with ${status}`);
    return of;
  };
  const withRoles = async (transport: Transport, before: Role[], now: Role[]) => {
    const client = await person(transport, before);
    const admin = await loggedIn(app, ADMIN);
    await admin.put(`/v1/admin/users/${client.userId}/roles`, { roles: now });
    return client;
  };
  /** None of these tokens has been checked yet, so the session is not cached. */
  const stale = async (transport: Transport, roles?: Role[]) => {
    const client = await person(transport, roles);
    await app.query(
      `update sessions set authenticated_at = authenticated_at - $2 * interval '1 ms' where id = $1`,
      [client.id, STALE_MS],
    );
    return client;
  };
  const resigned = async (transport: Transport, changes: (claims: Record<string, unknown>) => object) => {
    const behind = await person(transport);
    const { claims } = read(behind.accessToken ?? behind.jar.get(COOKIES.access)!);
    const token = signed(HEADER, { ...claims, ...changes(claims) });
    return Object.assign(holding(transport, token), { behind });
  };

  return {
    anonymous: { make: async () => app.client(), access: 'auth.unauthenticated' },
    'a user whose token is in the URL': {
      make: () => person('bearer'),
      inUrl: true,
      access: 'auth.unauthenticated',
    },
    'a user whose token is in X-Access-Token': elsewhere(({ accessToken }) => ({
      'x-access-token': accessToken!,
    })),
    'a user with a device token, in its own place': elsewhere(({ deviceToken }) => ({
      'x-device-token': deviceToken!,
    })),
    'a forger': {
      make: async (transport) => {
        const [mine, other] = [await person('bearer'), await person('bearer')];
        const [header, claims] = other.accessToken!.split('.');
        return holding(transport, [header, claims, mine.accessToken!.split('.')[2]].join('.'));
      },
      access: 'auth.invalid_token',
    },
    'a refresh token in the place of an access token': inPlaceOfOne(({ refreshToken }) => refreshToken!),
    'a device token in the place of an access token': inPlaceOfOne(({ deviceToken }) => deviceToken!),
    'a mailed token in the place of an access token': inPlaceOfOne(async (owner) => {
      await owner.post('/v1/auth/password/forgot', { email: owner.email });
      return mailbox.tokenFor(owner.email);
    }),
    'a token of a session of the other transport': {
      make: async (transport) => {
        const { accessToken, jar } = await person(transport === 'bearer' ? 'cookie' : 'bearer');
        return holding(transport, accessToken ?? jar.get(COOKIES.access)!);
      },
      access: 'auth.invalid_token',
    },
    'a token of a session that never was': {
      make: (transport) =>
        resigned(transport, () => {
          const sid = random.uuidAt(app.clock.now());
          return { sid, jti: mintTokenId(sid, 0, { transport }) };
        }),
      session: 'auth.invalid_token',
    },
    'a token with another user’s session in it': {
      make: async (transport) => {
        const { id } = await person('bearer');
        return resigned(transport, () => ({ sid: id, jti: mintTokenId(id, 0, { transport }) }));
      },
      session: 'auth.invalid_token',
    },
    'an expired token of a live session': {
      make: (transport) =>
        resigned(transport, (claims) => ({
          iat: (claims['iat'] as number) - 1_000,
          exp: (claims['exp'] as number) - 1_000,
        })),
      access: 'auth.token_expired',
    },
    'a token that an admin has denied': {
      make: (transport) =>
        after(transport, (admin, of) => {
          const { jti } = read(of.accessToken ?? of.jar.get(COOKIES.access)!).claims;
          return admin.delete(`/v1/admin/tokens/${jti as string}`);
        }),
      access: 'auth.token_expired',
    },
    'a session that an admin has ended': {
      make: (transport) => after(transport, (admin, { id }) => admin.delete(`/v1/admin/sessions/${id}`)),
      access: 'auth.session_ended',
    },
    'a user who is banned': {
      make: (transport) =>
        after(transport, (admin, { userId }) =>
          admin.post(`/v1/admin/users/${userId}/ban`, { reason: 'a test' }),
        ),
      access: 'auth.session_ended',
    },
    'a user who has deleted the account': {
      make: async (transport) => {
        const client = await person(transport);
        const thief = client.copy();
        await client.delete('/v1/users/me');
        return thief;
      },
      access: 'auth.session_ended',
    },
    'a user': { make: (transport) => person(transport) },
    'a user whose login was a while ago': { make: (transport) => stale(transport), isStale: true },
    'an admin': { make: (transport) => person(transport, ['user', 'admin']), roles: ['user', 'admin'] },
    'an admin whose login was a while ago': {
      make: (transport) => stale(transport, ['user', 'admin']),
      roles: ['user', 'admin'],
      isStale: true,
    },
    'a former admin, whose token says admin': {
      make: (transport) => withRoles(transport, ['user', 'admin'], ['user']),
      claimed: ['user', 'admin'],
    },
    'an admin from now on, whose token says user': {
      make: (transport) => withRoles(transport, ['user'], ['user', 'admin']),
      roles: ['user', 'admin'],
      claimed: ['user'],
    },
    'a machine with a live API key of all scopes': {
      make: () => machine(),
      scopes: ofUsers,
    },
    'a machine whose API key has one scope': {
      make: () => machine({ scopes: ['probe:read'] }),
      scopes: ['probe:read'],
    },
    'a verifier with an API key of an admin': {
      make: async () => {
        const behind = await person('bearer', ['user', 'admin']);
        return Object.assign(await machineOf(app, behind, { scopes: FEED_SCOPES }), { behind });
      },
      scopes: FEED_SCOPES,
    },
    'a machine whose API key was ended by its owner': keyAfter(({ id }, owner) =>
      owner.delete(`/v1/api-keys/${id}`),
    ),
    'a machine whose API key was ended by an admin': keyAfter(async ({ id }) =>
      (await loggedIn(app, ADMIN)).delete(`/v1/admin/api-keys/${id}`),
    ),
    'a machine whose owner was banned': keyAfter(async (_, { userId }) =>
      (await loggedIn(app, ADMIN)).post(`/v1/admin/users/${userId}/ban`, { reason: 'a test' }),
    ),
    'a machine whose owner has deleted the account': keyAfter((_, owner) => owner.delete('/v1/users/me')),
    'a machine whose API key was rotated without an overlap': keyAfter(({ id }, owner) =>
      owner.post(`/v1/api-keys/${id}/rotate`, { overlapSeconds: 0 }),
    ),
    'a machine with an expired API key': keyAfter(
      ({ id }) => app.query(`update api_keys set expires_at = now() where id = $1`, [id]),
      { isUsedBefore: false },
    ),
    'a machine with an API key with another secret': wrongKey(
      (key) => app.get(ApiKeyFormat).mint(idIn(key)).text,
    ),
    'a machine with an API key that does not exist': wrongKey(
      () => app.get(ApiKeyFormat).mint(random.uuid()).text,
    ),
    'a machine with a mistyped API key': wrongKey((key) =>
      key.replace(/.$/, (end) => (end === '0' ? '1' : '0')),
    ),
    'a machine with an API key of production': wrongKey((key) => key.replace('_t', '_p')),
    'a machine with an access token in place of its API key': {
      make: async () => machineWith(app, (await person('bearer')).accessToken!),
      scopes: [],
      key: 'auth.invalid_key',
    },
    'a machine with an API key in place of its access token': {
      make: async (transport) => holding(transport, (await machine()).apiKey!),
      access: 'auth.invalid_token',
    },
    ...Object.assign({}, ...OPTIONAL_PARTS.map((part) => part.callerKinds(app))),
    'a machine with two API keys': {
      make: async () => machineWith(app, `${(await machine()).apiKey}, ${(await machine()).apiKey}`),
      everywhere: 'auth.ambiguous_credentials',
    },
    'a user with an API key and a token at once': {
      make: async (transport) => {
        const owner = await person(transport);
        return Object.assign(owner, { apiKey: (await createKey(owner)).key });
      },
      everywhere: 'auth.ambiguous_credentials',
    },
    'a user with a cookie and a bearer token at once': {
      make: async () => {
        const client = await person('bearer');
        client.jar.set(COOKIES.access, client.accessToken!);
        return client;
      },
      everywhere: 'auth.ambiguous_credentials',
    },
    'a user with a good bearer token and a cookie of nothing': {
      make: async () => {
        const client = await person('bearer');
        client.jar.set(COOKIES.refresh, 'x');
        return client;
      },
      everywhere: 'auth.ambiguous_credentials',
    },
  };
}
