import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { COOKIES } from './support/cookies.js';
import { Mailbox } from './support/mailbox.js';
import { freePort, OutsidePerson, signInAt, startOutsideProvider } from './support/outside-person.js';
import { enrol, complete } from './support/second-factor.js';
import { createUser, loggedIn } from './support/test-users.js';
import { eventually } from './support/waiting.js';

/** Real: the outside provider (another process), PostgreSQL, the cache, the application, which listens. */
let app: TestApp;
let home: string;
let outside: Awaited<ReturnType<typeof startOutsideProvider>>;
let mailbox: Mailbox;

beforeAll(async () => {
  await resetStores();
  const [port, providerPort] = [await freePort(), await freePort()];
  home = `http://localhost:${port}`;
  const callback = `${home}/v1/auth/social/acme/callback`;
  outside = await startOutsideProvider(providerPort, [
    {
      client_id: 'the-app',
      client_secret: 'a-secret-of-the-app-for-the-provider',
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [callback],
      backchannel_logout_uri: `${home}/v1/auth/social/acme/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
  ]);
  const acme = {
    issuer: outside.issuer,
    clientId: 'the-app',
    clientSecret: 'a-secret-of-the-app-for-the-provider',
  };
  const dead = { issuer: 'http://127.0.0.1:1', clientId: 'x', name: 'A provider that is down' };
  app = await startApp({
    env: { APP_URL: home, SOCIAL_PROVIDERS: JSON.stringify({ acme, dead }), EMAIL_VERIFICATION: 'required' },
  });
  mailbox = new Mailbox(app);
  await app.app.listen(port);
});
afterAll(async () => {
  await app.close();
  await outside.stop();
});

const newAddress = () => `${randomUUID()}@newcomers.example`;
const personAt = (account: string) => new OutsidePerson(outside.issuer, account);
const pathOf = (url: string) => url.replace(home, '');
/** The result that the browser finds in the address, after the callback. */
const resultOf = ({ headers }: { headers: Record<string, unknown> }) =>
  Object.fromEntries(new URLSearchParams(new URL(String(headers['location'])).hash.slice(1)));

/** Signs in with an outside account. @returns the answer of the callback */
const signIn = (browser: Client, account: string | OutsidePerson) =>
  signInAt('acme', browser, typeof account === 'string' ? personAt(account) : account);
/** Links an outside account to that of a logged-in browser. @returns the answer of the callback */
async function link(browser: Client, account: string) {
  const begun = await browser.post('/v1/auth/identities', { provider: 'acme' });
  expect(begun.status).toBe(200);
  return browser.get(pathOf(await personAt(account).authorize(begun.body.redirectTo)));
}
const inBrowser = (email: string) => loggedIn(app, { email }, 'cookie');

it('the list of providers tells a login page their names, and nothing else of their configuration', async () => {
  const { status, headers, body } = await app.client().get('/v1/auth/social');
  expect({ status, cache: headers['cache-control'], body }).toEqual({
    status: 200,
    cache: 'public, max-age=300',
    body: {
      items: [
        { id: 'acme', name: 'Acme' },
        { id: 'dead', name: 'A provider that is down' },
      ],
    },
  });
});

describe('a sign-in with an outside account', () => {
  it('makes a user without a password, whose address is verified, and an ordinary session', async () => {
    const email = newAddress();
    const browser = app.client();
    const answer = await signIn(browser, `verified:${email}`);
    expect(answer).toMatchObject({
      status: 303,
      headers: { location: `${home}/welcome#social=signed_in` },
    });
    expect(await browser.get('/v1/users/me')).toMatchObject({
      status: 200,
      body: { email, displayName: 'Some Name' },
    });
    expect((await browser.get('/v1/auth/identities')).body).toEqual({
      items: [
        {
          id: expect.any(String),
          provider: 'acme',
          email,
          createdAt: expect.any(String),
          lastUsedAt: expect.any(String),
        },
      ],
      hasPassword: false,
    });
    expect(await browser.post('/v1/auth/refresh')).toMatchObject({ status: 200 });
    const { body } = await browser.get('/v1/sessions/current');
    expect((await browser.delete(`/v1/sessions/${body.id}`)).body).toMatchObject({ status: 'applied' });
    expect(await browser.get('/v1/users/me')).toMatchObject({ status: 401 });
  });

  it('finds the same user again, even under another address', async () => {
    const account = `verified:${newAddress()}`;
    const [first, second] = [app.client(), app.client()];
    await signIn(first, account);
    await signIn(second, account);
    const ids = [await first.get('/v1/users/me'), await second.get('/v1/users/me')].map(
      ({ body }) => body.id,
    );
    expect(ids[0]).toBe(ids[1]);
  });

  it('never takes over an existing account by its address, verified or not', async () => {
    const { email } = await createUser(app);
    const browser = app.client();
    expect(resultOf(await signIn(browser, `verified:${email}`))).toEqual({ social_error: 'account_exists' });
    expect(resultOf(await signIn(browser, `unverified:${email}`))).toEqual({
      social_error: 'email_unverified',
    });
    expect(browser.jar.has(COOKIES.access)).toBe(false);
    expect(await app.query('select from identities where email = $1', [email])).toEqual([]);
  });

  it('makes no user of an address that the provider has not verified', async () => {
    const email = newAddress();
    expect(resultOf(await signIn(app.client(), `unverified:${email}`))).toEqual({
      social_error: 'email_unverified',
    });
    expect(await app.query('select from users where email = $1', [email])).toEqual([]);
  });

  it('is refused to a banned user', async () => {
    const account = `verified:${newAddress()}`;
    const browser = app.client();
    await signIn(browser, account);
    const { body } = await browser.get('/v1/users/me');
    await (await loggedIn(app, ADMIN)).post(`/v1/admin/users/${body.id}/ban`, { reason: 'x' });
    expect(resultOf(await signIn(app.client(), account))).toEqual({ social_error: 'not_allowed' });
  });

  it('asks for the second factor of the user', async () => {
    const { email } = await createUser(app);
    const owner = await inBrowser(email);
    const account = `verified:${newAddress()}`;
    expect(resultOf(await link(owner, account))).toEqual({ social: 'linked' });
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const browser = app.client();
    const { challengeToken, ...rest } = resultOf(await signIn(browser, account));
    expect(rest).toEqual({ social: 'mfa_required', methods: expect.stringContaining('code') });
    expect(browser.jar.has(COOKIES.access)).toBe(false);
    expect(await complete(browser, challengeToken!, phone.nextCode())).toMatchObject({ status: 200 });
    expect(await browser.get('/v1/users/me')).toMatchObject({ status: 200, body: { email } });
  });

  it('says that the person has refused', async () => {
    const browser = app.client();
    const start = await browser.get('/v1/auth/social/acme/start');
    const url = await personAt('verified:x@x.example').authorize(String(start.headers['location']), 'cancel');
    expect(resultOf(await browser.get(pathOf(url)))).toEqual({ social_error: 'access_denied' });
  });

  it('is 404 for a provider that is not configured, and 503 while the provider does not answer', async () => {
    expect(await app.client().get('/v1/auth/social/other/start')).toMatchObject({ status: 404 });
    expect(await app.client().get('/v1/auth/social/dead/start')).toMatchObject({
      status: 503,
      body: { code: 'auth.unavailable' },
    });
  });
});

describe('an attacker', () => {
  it('cannot complete a sign-in in another browser than that in which it was begun (login CSRF)', async () => {
    const attacker = app.client();
    const start = await attacker.get('/v1/auth/social/acme/start');
    const callback = await personAt(`verified:${newAddress()}`).authorize(String(start.headers['location']));
    const victim = app.client();
    expect(resultOf(await victim.get(pathOf(callback)))).toEqual({ social_error: 'expired' });
    await victim.get('/v1/auth/social/acme/start');
    expect(resultOf(await victim.get(pathOf(callback)))).toEqual({ social_error: 'failed' });
    expect(victim.jar.has(COOKIES.access)).toBe(false);
  });

  it('cannot use a callback twice, or change the cookie of the sign-in', async () => {
    const browser = app.client();
    const start = await browser.get('/v1/auth/social/acme/start');
    const kept = new Map(browser.jar);
    const callback = pathOf(
      await personAt(`verified:${newAddress()}`).authorize(String(start.headers['location'])),
    );
    expect(resultOf(await browser.get(callback))).toEqual({ social: 'signed_in' });
    const again = app.client();
    for (const [name, value] of kept) again.jar.set(name, value);
    expect(resultOf(await again.get(callback))).toEqual({ social_error: 'failed' });
    const changed = app.client();
    for (const [name, value] of kept)
      changed.jar.set(
        name,
        value.replace(/^./, (first) => (first === 'a' ? 'b' : 'a')),
      );
    expect(resultOf(await changed.get(callback))).toEqual({ social_error: 'expired' });
  });

  it.each([
    '//thief.example',
    'https://thief.example',
    '/\\thief.example',
    'javascript:alert(1)',
    '/\t/thief.example',
  ])('cannot make the browser return to %s (open redirect)', async (returnTo) => {
    const path = `/v1/auth/social/acme/start?returnTo=${encodeURIComponent(returnTo)}`;
    expect(await app.client().get(path)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('who gets a session for a moment cannot link an own account after the session has ended', async () => {
    const { email } = await createUser(app);
    const thief = await inBrowser(email);
    const begun = await thief.post('/v1/auth/identities', { provider: 'acme' });
    const callback = await personAt(`verified:${newAddress()}`).authorize(begun.body.redirectTo);
    await (await inBrowser(email)).delete('/v1/sessions?except=current');
    expect(resultOf(await thief.get(pathOf(callback)))).toEqual({ social_error: 'session_ended' });
  });

  it('with an old session cannot begin to link one', async () => {
    const owner = await inBrowser((await createUser(app)).email);
    await app.query(
      `update sessions set authenticated_at = authenticated_at - interval '6 min' where id = $1`,
      [owner.id],
    );
    expect(await owner.post('/v1/auth/identities', { provider: 'acme' })).toMatchObject({
      status: 401,
      body: { code: 'auth.reauthentication_required' },
    });
  });
});

describe('a linked account', () => {
  it('lets its user in, who is told by mail, and stays with one user', async () => {
    const { email } = await createUser(app);
    const account = `verified:${newAddress()}`;
    expect(resultOf(await link(await inBrowser(email), account))).toEqual({ social: 'linked' });
    expect((await mailbox.collect()).map(({ to, subject }) => [to, subject])).toContainEqual([
      email,
      'An outside account was linked',
    ]);
    const browser = app.client();
    expect(resultOf(await signIn(browser, account))).toEqual({ social: 'signed_in' });
    expect((await browser.get('/v1/users/me')).body.email).toBe(email);
    const other = await inBrowser((await createUser(app)).email);
    expect(resultOf(await link(other, account))).toEqual({ social_error: 'already_linked' });
  });

  it('can be removed if another way to log in remains', async () => {
    const email = newAddress();
    const browser = app.client();
    await signIn(browser, `verified:${email}`);
    const [{ id }] = (await browser.get('/v1/auth/identities')).body.items;
    expect(await browser.delete(`/v1/auth/identities/${id}`)).toMatchObject({ status: 409 });
    await app.client().post('/v1/auth/password/forgot', { email });
    const token = await mailbox.tokenFor(email);
    const newPassword = 'nine owls under a bridge';
    expect(await app.client().post('/v1/auth/password/reset', { token, newPassword })).toMatchObject({
      status: 204,
    });
    const owner = app.client();
    expect(await owner.login(email, newPassword)).toMatchObject({ status: 200 });
    expect(await owner.delete(`/v1/auth/identities/${id}`)).toMatchObject({ status: 204 });
    expect(resultOf(await signIn(app.client(), `verified:${email}`))).toEqual({
      social_error: 'account_exists',
    });
  });

  it('of another user is not found', async () => {
    const owner = app.client();
    await signIn(owner, `verified:${newAddress()}`);
    const [{ id }] = (await owner.get('/v1/auth/identities')).body.items;
    const other = await inBrowser(ALICE.email);
    expect(await other.delete(`/v1/auth/identities/${id}`)).toMatchObject({ status: 404 });
  });
});

describe('a logout at the provider', () => {
  const ended = (browser: Client) =>
    eventually(async () => expect(await browser.get('/v1/users/me')).toMatchObject({ status: 401 }));

  it('ends the sessions that began there, and no others', async () => {
    const { email } = await createUser(app);
    const account = `verified:${newAddress()}`;
    const byPassword = await inBrowser(email);
    await link(byPassword, account);
    const person = personAt(account);
    const [first, elsewhere] = [app.client(), app.client()];
    await signIn(first, person);
    await signIn(elsewhere, account);
    await person.logOut();
    await ended(first);
    expect(await elsewhere.get('/v1/users/me')).toMatchObject({ status: 200 });
    expect(await byPassword.get('/v1/users/me')).toMatchObject({ status: 200 });
  });

  it('also ends one that has proved a second factor', async () => {
    const { email } = await createUser(app);
    const account = `verified:${newAddress()}`;
    await link(await inBrowser(email), account);
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const person = personAt(account);
    const browser = app.client();
    const { challengeToken } = resultOf(await signIn(browser, person));
    expect(await complete(browser, challengeToken!, phone.nextCode())).toMatchObject({ status: 200 });
    await person.logOut();
    await ended(browser);
  });

  it('is refused with a token that the provider has not signed', async () => {
    for (const payload of ['', 'logout_token=x.y.z', 'logout_token=eyJhbGciOiJub25lIn0.e30.'])
      expect(
        await app.client().request('POST', '/v1/auth/social/acme/backchannel-logout', {
          body: payload,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
      ).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });
});
