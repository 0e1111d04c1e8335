import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { holdBackgroundWork, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { Mailbox } from '../../test/support/mailbox.js';
import {
  documentOf,
  parametersIn,
  undocumented,
  urlOf,
  type ApiDocument,
  type Operation,
} from '../../test/support/operations.js';
import { recipeOf } from '../../test/support/request-examples.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';

/** Requests that no fixed text can make, and what they need. */
const NEEDS: Record<string, string> = {
  'POST /v1/auth/login/mfa': 'the challenge of a login, and a code of the moment',
  'POST /v1/auth/mfa/totp/confirm': 'a code of the moment',
  'POST /v1/auth/login/passkey': 'an authenticator',
  'POST /v1/auth/reauthenticate/passkey': 'an authenticator',
  'POST /v1/auth/passkeys': 'an authenticator',
  'POST /v1/auth/password/reset': 'a token from a mail',
  'POST /v1/auth/email/verify': 'a token from a mail',
  'POST /v1/auth/identities': 'a provider of outside accounts',
  'POST /v1/auth/social/{provider}/global-token-revocation': 'a provider of outside accounts',
  'POST /v1/api-keys/leaked': 'a secret scanner',
};
/** Examples of clients that have a refresh token. A browser has it in a cookie. */
const NEEDS_TOKEN = new Set(['POST /v1/auth/refresh app', 'POST /v1/auth/logout app']);

/** Real: the application with its document and the demo users, PostgreSQL, the cache. */
describe('the document at /openapi.json', () => {
  let app: TestApp;
  let api: ApiDocument;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_DOCS: 'true' } });
    holdBackgroundWork(app);
    api = await documentOf(app);
  });
  afterAll(() => app.close());

  /** The bodies of the examples, by their names. */
  function bodiesOf({ requestBody }: Operation): [string, object | undefined][] {
    const { example, examples } = requestBody?.content['application/json'] ?? {};
    if (!examples) return [['', example as object | undefined]];
    return Object.entries(examples).map(([name, { value }]) => [name, value as object]);
  }

  const headersOf = (operation: Operation) => {
    const required = parametersIn(operation, 'header').filter((parameter) => parameter.required);
    return Object.fromEntries(required.map(({ name, schema }) => [name, schema.example as string]));
  };

  /** Sends an example as it is, with the cookies of a login, for an object that exists. */
  async function tryExample(operation: Operation, body: object | undefined) {
    const owner = await loggedIn(app, await createUser(app), 'cookie');
    const caller = operation['x-roles']
      ? await loggedIn(app, await createUser(app, ['user', 'admin']), 'cookie')
      : owner;
    const scene = { owner, mailbox: new Mailbox(app), clock: app.clock };
    const { parameters = {} } = await recipeOf(operation).cook(scene);
    return caller.request(operation.method, urlOf(operation, parameters), {
      body,
      headers: headersOf(operation),
    });
  }

  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(api.source);
    expect({ errors, valid }).toEqual({ errors: undefined, valid: true });
    expect(api.source['openapi']).toBe('3.1.0');
  });

  it('has request examples that succeed as they are, with a documented answer', async () => {
    const tried: string[] = [];
    for (const operation of api.operations) {
      const { name } = operation;
      const takesInput = operation.requestBody || Object.keys(headersOf(operation)).length > 0;
      if (!takesInput || NEEDS[name]) continue;
      for (const [example, body] of bodiesOf(operation)) {
        if (NEEDS_TOKEN.has(`${name} ${example}`)) continue;
        const answer = await tryExample(operation, body);
        const { status, text } = answer;
        expect({ name, text, isSuccess: status < 300 }).toEqual({ name, text, isSuccess: true });
        expect({ name, found: undocumented(operation, answer, api.components) }).toEqual({ name, found: [] });
        tried.push(name);
      }
    }
    expect(tried).toEqual(expect.arrayContaining(['POST /v1/auth/login', 'POST /v1/auth/register']));
    expect(tried.length).toBeGreaterThan(15);
  });

  it('names no operation as an exception that it does not have', () => {
    const names = api.operations.map(({ name }) => name);
    expect(Object.keys(NEEDS).filter((name) => !names.includes(name))).toEqual([]);
  });

  it('has examples of the demo users, whose login works in development', async () => {
    const login = api.operations.find(({ name }) => name === 'POST /v1/auth/login')!;
    const [, body] = bodiesOf(login).find(([name]) => name === 'browser')!;
    const answer = await app.client().post('/v1/auth/login', body!);
    expect(answer).toMatchObject({ status: 200, body: { user: { email: 'alice@example.com' } } });
  });
});
