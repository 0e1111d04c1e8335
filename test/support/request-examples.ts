import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ProblemCode } from '../../src/platform/api/problem.js';
import { createKey } from './api-keys.js';
import { PASSWORD } from './app.js';
import type { TestClock } from './clock.js';
import { Authenticator } from './authenticator.js';
import { read } from './forge.js';
import type { Mailbox } from './mailbox.js';
import { bodySchemaOf, parametersIn, type Operation } from './operations.js';
import { enrolPasskey, passkeyLogin, PASSKEY_STEP_UP, PASSKEYS } from './passkeys.js';
import type { TestUser } from './test-users.js';
import { AuthenticatorApp, enrol } from './second-factor.js';

/** An example of a successful request for an operation. */
export interface Example {
  /** Path parameters, by name. */
  parameters?: Record<string, string>;
  headers?: Record<string, string>;
  body?: object;
}

/** The user of the example: the caller, or another user with bearer tokens on public and admin routes. */
export interface Scene {
  owner: TestUser;
  mailbox: Mailbox;
  clock: TestClock;
}

interface Recipe {
  cook: (scene: Scene) => Example | Promise<Example>;
  /**
   * The answer even to the right caller, where success takes more than a request. Name in a comment the test of the
   * success.
   */
  answers?: ProblemCode;
}

export type Recipes = Record<string, Recipe['cook'] | Recipe>;

const NEW_PASSWORD = 'nine owls under a bridge';
const newAddress = () => `${randomUUID()}@new.example`;
const theUser = ({ owner }: Scene) => ({ parameters: { id: owner.userId } });
const theSession = ({ owner }: Scene) => ({ parameters: { id: owner.id } });
const theDevice = ({ owner }: Scene) => ({ parameters: { id: owner.deviceId } });
const newKey = () => new Authenticator('http://localhost:3000');

/** The session that enrols it gets new keys, so the owner does it, whose last proof may be old. */
async function withPasskey({ owner }: Scene): Promise<{ key: Authenticator; parameters: { id: string } }> {
  const key = newKey();
  expect((await owner.reauthenticate({ password: PASSWORD })).status).toBe(200);
  const { status, body } = await enrolPasskey(owner, key);
  expect(status).toBe(201);
  return { key, parameters: { id: body.id as string } };
}

/** The owner proves the password again first, as its last proof may be old. */
async function withKey({ owner }: Scene): Promise<{ parameters: { id: string } }> {
  expect((await owner.reauthenticate({ password: PASSWORD })).status).toBe(200);
  const { id } = await createKey(owner);
  return { parameters: { id } };
}

/**
 * An example of a successful request for each operation that requires a body, a path parameter or a header.
 * Generated requests (`route-matrix.spec.ts`, `fuzz.spec.ts`) start from these. The other operations need none. A
 * feature has its own in a file `*.recipes.ts` in its folder.
 */
export const RECIPES: Recipes = {
  ...(await recipesOfFeatures()),
  'POST /v1/auth/register': () => ({ body: { email: newAddress(), password: NEW_PASSWORD } }),
  'POST /v1/auth/login': ({ owner }) => ({
    body: { email: owner.email, password: PASSWORD, transport: 'bearer' },
  }),
  'POST /v1/auth/refresh': ({ owner }) => ({ body: { refreshToken: owner.refreshToken } }),
  // A browser signs the offer of its own session: `device-binding.spec.ts`.
  'POST /v1/auth/binding/register': { cook: () => ({}), answers: 'request.invalid' },
  'POST /v1/auth/logout': ({ owner }) => ({ body: { refreshToken: owner.refreshToken } }),
  'POST /v1/auth/reauthenticate': () => ({ body: { password: PASSWORD } }),
  'POST /v1/auth/login/passkey': async (scene) => {
    const { key } = await withPasskey(scene);
    return { body: await passkeyLogin(scene.owner.copy(), key) };
  },
  'POST /v1/auth/reauthenticate/passkey': async (scene) => {
    const { key } = await withPasskey(scene);
    const { body } = await scene.owner.post(`${PASSKEY_STEP_UP}/options`);
    return { body: { response: key.get(body) } };
  },
  'POST /v1/auth/passkeys': async ({ owner }) => {
    const { body } = await owner.post(`${PASSKEYS}/options`);
    return { body: { response: newKey().create(body) } };
  },
  'PATCH /v1/auth/passkeys/{id}': async (scene) => {
    const { parameters } = await withPasskey(scene);
    return { parameters, body: { name: 'The blue one' } };
  },
  'DELETE /v1/auth/passkeys/{id}': async (scene) => {
    const { parameters } = await withPasskey(scene);
    return { parameters };
  },
  'POST /v1/auth/login/mfa': async (scene) => {
    const { recoveryCodes } = await enrol(scene, scene.owner);
    const { email } = scene.owner;
    const { body } = await scene.owner.copy().login(email, PASSWORD, { transport: 'bearer' });
    return { body: { challengeToken: body.challengeToken, code: recoveryCodes[0]! } };
  },
  'POST /v1/auth/mfa/totp/confirm': async ({ owner, clock }) => {
    const { body } = await owner.post('/v1/auth/mfa/totp');
    return { body: { code: new AuthenticatorApp(body.secret, clock).code() } };
  },
  'DELETE /v1/auth/mfa/totp': async (scene) => {
    await enrol(scene, scene.owner);
    return {};
  },
  'POST /v1/auth/mfa/recovery-codes': async (scene) => {
    await enrol(scene, scene.owner);
    return {};
  },
  'DELETE /v1/admin/users/{id}/mfa': async (scene) => {
    await enrol(scene, scene.owner);
    return theUser(scene);
  },
  'POST /v1/auth/password/change': () => ({
    body: { currentPassword: PASSWORD, newPassword: NEW_PASSWORD },
  }),
  'POST /v1/auth/password/forgot': ({ owner }) => ({ body: { email: owner.email } }),
  'POST /v1/auth/password/reset': async ({ owner, mailbox }) => {
    await owner.copy().post('/v1/auth/password/forgot', { email: owner.email });
    return { body: { token: await mailbox.tokenFor(owner.email), newPassword: NEW_PASSWORD } };
  },
  'POST /v1/auth/email/verify': async ({ owner, mailbox }) => {
    const email = newAddress();
    expect(await owner.copy().post('/v1/auth/email/change', { email })).toMatchObject({ status: 202 });
    return { body: { token: await mailbox.tokenFor(email) } };
  },
  'POST /v1/auth/email/change': () => ({ body: { email: newAddress() } }),
  'POST /v1/api-keys': () => ({ body: { name: 'a machine', scopes: ['probe:read'] } }),
  'POST /v1/api-keys/{id}/rotate': async (scene) => ({
    ...(await withKey(scene)),
    body: { overlapSeconds: 60 },
  }),
  'DELETE /v1/api-keys/{id}': withKey,
  // Only a scanner that is configured may report: `api-key-leaks.spec.ts`.
  'POST /v1/api-keys/leaked': { cook: () => ({ body: [] }), answers: 'resource.not_found' },
  // Only a browser can do these, with a provider: `social.spec.ts`.
  'POST /v1/auth/identities': {
    cook: () => ({ body: { provider: 'unknown' } }),
    answers: 'resource.not_found',
  },
  'DELETE /v1/auth/identities/{id}': {
    cook: () => ({ parameters: { id: randomUUID() } }),
    answers: 'resource.not_found',
  },
  // Only a provider that is configured may call: `global-revocation.spec.ts`.
  'POST /v1/auth/social/{provider}/global-token-revocation': {
    cook: ({ owner }) => ({
      parameters: { provider: 'unknown' },
      body: { sub_id: { format: 'email', email: owner.email } },
    }),
    answers: 'resource.not_found',
  },
  // The stream goes on until its caller leaves. A cursor of another process ends it at once.
  'GET /v1/revocations/stream': () => ({ headers: { 'last-event-id': 'another.0' } }),
  'PATCH /v1/users/me': () => ({ body: { displayName: 'Some Name' } }),
  'PATCH /v1/devices/{id}': (scene) => ({ ...theDevice(scene), body: { name: 'A desk' } }),
  'DELETE /v1/devices/{id}/sessions': theDevice,
  'DELETE /v1/sessions/{id}': theSession,
  'POST /v1/probe/payments': () => ({
    headers: { 'idempotency-key': randomUUID() },
    body: { amount: 1_250, currency: 'EUR', recipient: 'Bob' },
  }),
  'GET /v1/admin/users/{id}': theUser,
  'GET /v1/admin/users/{id}/sessions': theUser,
  'DELETE /v1/admin/users/{id}/sessions': theUser,
  'POST /v1/admin/users/{id}/ban': (scene) => ({ ...theUser(scene), body: { reason: 'a test' } }),
  'DELETE /v1/admin/users/{id}/ban': theUser,
  'PUT /v1/admin/users/{id}/roles': (scene) => ({ ...theUser(scene), body: { roles: ['user'] } }),
  'GET /v1/admin/users/{id}/api-keys': theUser,
  'DELETE /v1/admin/api-keys/{id}': withKey,
  'DELETE /v1/admin/sessions/{id}': theSession,
  'DELETE /v1/admin/sessions': () => ({ body: { confirm: 'everyone' } }),
  'POST /v1/admin/sessions/end-all': () => ({ body: { confirm: 'everyone' } }),
  'DELETE /v1/admin/tokens/{jti}': ({ owner }) => ({
    parameters: { jti: read(owner.accessToken!).claims['jti'] as string },
  }),
  'GET /v1/admin/revocations/{seq}': async ({ owner }) => {
    const { body } = await owner.copy().delete('/v1/sessions?except=current');
    return { parameters: { seq: String(body.seq) } };
  },
};

async function recipesOfFeatures(): Promise<Recipes> {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.recipes.ts'))
    .map((file) => pathToFileURL(resolve('src', file)).href);
  const modules = await Promise.all(files.map((file) => import(file) as Promise<{ RECIPES: Recipes }>));
  return Object.assign({}, ...modules.map(({ RECIPES: recipes }) => recipes)) as Recipes;
}

const needsOne = (operation: Operation): boolean =>
  bodySchemaOf(operation) !== undefined ||
  parametersIn(operation, 'path').length > 0 ||
  parametersIn(operation, 'header').some(({ required }) => required);

export function recipeOf(operation: Operation): Recipe {
  const recipe = RECIPES[operation.name] ?? (() => ({}));
  return typeof recipe === 'function' ? { cook: recipe } : recipe;
}

/** The necessary changes of the table, if any, after routes were added or removed. */
export function gapsIn(operations: Operation[]): string[] {
  const names = operations.map(({ name }) => name);
  const missing = operations
    .filter((operation) => needsOne(operation) && !RECIPES[operation.name])
    .map(({ name }) => `add '${name}' to the RECIPES of its feature: an example of a successful request`);
  const gone = Object.keys(RECIPES).filter((name) => !names.includes(name));
  return [...missing, ...gone.map((name) => `remove '${name}' from RECIPES: there is no such operation`)];
}
