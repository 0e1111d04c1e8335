import { expect } from '@jest/globals';
import { random } from '../../src/platform/runtime/random.js';
import { ADMIN, type TestApp } from './app.js';
import type { Caller, CallerKind } from './caller-kind.js';
import { APPS_ENV, appOf } from './oauth.js';
import type { OptionalPart } from './optional-parts.js';
import { createUser, loggedIn, scopesOfUsers, type TestUser } from './test-users.js';

/** The OAuth provider, and apps that call every route. */
export const PART: OptionalPart = {
  env: APPS_ENV,
  callerKinds: (app) => ({ ...appsWithTokens(app), ...appsAfterTheEnd(app) }),
};

const owned = async (app: TestApp) => loggedIn(app, await createUser(app), 'bearer');

function appsWithTokens(app: TestApp): Record<string, CallerKind> {
  const ofUsers = scopesOfUsers();
  const appWith = ({
    scopes = ofUsers,
    claims = () => ({}),
  }: { scopes?: string[]; claims?: () => Record<string, unknown> } = {}) => ({
    make: async (): Promise<Caller> => {
      const behind = await owned(app);
      return Object.assign(await appOf(app, behind, scopes, claims()), { behind });
    },
    isApp: true as const,
  });
  const now = () => Math.floor(Date.now() / 1_000);
  return {
    'an app with a grant of all scopes': { ...appWith(), scopes: ofUsers },
    'an app with a grant of one scope': { ...appWith({ scopes: ['probe:read'] }), scopes: ['probe:read'] },
    'an app with an expired token': {
      ...appWith({ claims: () => ({ iat: now() - 700, exp: now() - 100 }) }),
      scopes: [],
      key: 'auth.token_expired',
    },
    'an app with a token for another service': {
      ...appWith({ claims: () => ({ aud: 'https://tools.example' }) }),
      scopes: [],
      key: 'auth.invalid_token',
    },
    'an app with a token of a grant that never was': {
      ...appWith({ claims: () => ({ grant_id: random.uuidAt(Date.now()) }) }),
      scopes: ofUsers,
      session: 'auth.invalid_token',
    },
    'an app with a token of another user’s grant': {
      ...appWith({ claims: () => ({ sub: random.uuid() }) }),
      scopes: ofUsers,
      session: 'auth.invalid_token',
    },
  };
}

function appsAfterTheEnd(app: TestApp): Record<string, CallerKind> {
  /** An app after something has happened to its grant. */
  const appAfter = (act: (caller: { grantId: string }, owner: TestUser) => Promise<unknown>): CallerKind => ({
    make: async () => {
      const owner = await owned(app);
      const client = await appOf(app, owner, scopesOfUsers());
      expect((await client.get('/v1/probe/flags')).status).toBe(200);
      await act(client, owner);
      return client;
    },
    isApp: true,
    scopes: [],
    key: 'auth.invalid_token',
  });
  const admin = () => loggedIn(app, ADMIN);
  return {
    'an app whose grant was ended by its user': appAfter(({ grantId }, owner) =>
      owner.delete(`/v1/grants/${grantId}`),
    ),
    'an app whose grant was ended by an admin': appAfter(async ({ grantId }) =>
      (await admin()).delete(`/v1/admin/grants/${grantId}`),
    ),
    'an app whose user was banned': appAfter(async (_, { userId }) =>
      (await admin()).post(`/v1/admin/users/${userId}/ban`, { reason: 'a test' }),
    ),
    'an app whose user has deleted the account': appAfter((_, owner) => owner.delete('/v1/users/me')),
  };
}
