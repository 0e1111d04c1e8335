import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { ADMIN, holdBackgroundWork, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import { Authenticator, type Deviation } from './support/authenticator.js';
import type { Client } from './support/client.js';
import { TestClock } from './support/clock.js';
import { Mailbox } from './support/mailbox.js';
import {
  enrolPasskey,
  eventsOf,
  holderOf,
  keepTokens,
  logInWith,
  ORIGIN,
  passkeyLogin,
  PASSKEY_ENV,
  PASSKEY_LOGIN,
  PASSKEY_STEP_UP,
  PASSKEYS,
  stepUpWith,
} from './support/passkeys.js';
import { keysDelivered, loggedIn, createUser, sessionTier } from './support/test-users.js';
import { enrol } from './support/second-factor.js';
import { eventually } from './support/waiting.js';
import { PRODUCT } from '../src/product.js';

const MINUTE = 60_000;
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const UNEXPECTED = {
  status: 400,
  body: { code: 'request.invalid', errors: [{ path: 'response', message: expect.any(String) }] },
};
const STALE = { status: 401, body: { code: 'auth.reauthentication_required' } };

const clock = new TestClock();
let app: TestApp;
let other: TestApp;
let mailbox: Mailbox;
let email: string;

beforeAll(async () => {
  await resetStores();
  [app, other] = [await startApp({ clock, env: PASSKEY_ENV }), await startApp({ clock, env: PASSKEY_ENV })];
  holdBackgroundWork(other);
  mailbox = new Mailbox(app);
});
afterAll(() => Promise.all([app?.close(), other?.close()]));
beforeEach(async () => {
  jest.restoreAllMocks();
  ({ email } = await createUser(app));
  await mailbox.collect();
});

const holder = (key?: Authenticator) => holderOf(app, email, key);
const events = (userId: string, type: string) => eventsOf(app, userId, type);
const subjects = async () => (await mailbox.collect()).map(({ subject }) => subject);
const namesOf = async (me: Client) =>
  ((await me.get(PASSKEYS)).body.items as { name: string }[]).map(({ name }) => name);

/** Real: PostgreSQL, the cache, two instances, keys and signatures. Simulated: the mail server. */
describe('a passkey', () => {
  it('is created as a discoverable credential with user verification, and contains no personal data', async () => {
    const { me, key } = await holder();
    const { body } = await me.post(`${PASSKEYS}/options`);
    expect(body).toEqual({
      challenge: expect.any(String),
      rp: { id: 'example.com', name: PRODUCT.name },
      user: { id: expect.any(String), name: email, displayName: 'Newcomer' },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: 'public-key', alg })),
      timeout: 5 * MINUTE,
      attestation: 'none',
      authenticatorSelection: {
        residentKey: 'required',
        requireResidentKey: true,
        userVerification: 'required',
      },
      excludeCredentials: [
        { id: key.credentialId.toString('base64url'), type: 'public-key', transports: ['usb'] },
      ],
    });
    expect(Buffer.from(body.user.id, 'base64url')).toHaveLength(16);
    expect(Buffer.from(body.challenge, 'base64url').length).toBeGreaterThanOrEqual(64);
    const again = await me.post(`${PASSKEYS}/options`);
    expect(again.body.challenge.slice(0, 43)).not.toBe(body.challenge.slice(0, 43));
  });

  it.each(['ES256', 'EdDSA', 'RS256'] as const)(
    'logs in without a name and a password, by %s',
    async (algorithm) => {
      const { me, key } = await holder(new Authenticator(ORIGIN, { algorithm }));
      const client = other.client();
      const answer = await logInWith(client, key);
      expect(answer).toMatchObject({
        status: 200,
        body: {
          user: { email },
          session: { secondFactorAt: expect.any(String) },
          accessToken: expect.any(String),
        },
      });
      expect((await client.get('/v1/users/me')).body.email).toBe(email);
      expect(await events(me.userId, 'authn_login_success')).toContainEqual(
        expect.objectContaining({ details: expect.objectContaining({ secondFactor: 'passkey' }) }),
      );
    },
  );

  it('logs a browser in by cookies, and shows it no token', async () => {
    const { key } = await holder();
    const browser = app.client();
    const login = { ...(await passkeyLogin(browser, key)), transport: 'cookie', deviceName: 'Kitchen' };
    const answer = await browser.post(PASSKEY_LOGIN, login);
    expect(answer.status).toBe(200);
    expect(answer.body).not.toHaveProperty('accessToken');
    expect(answer.body.session.device.name).toBe('Kitchen');
    expect((await browser.get('/v1/sessions/current')).status).toBe(200);
    // As with a password: the earlier session of the cookie jar has ended.
    const before = answer.body.session.id;
    await browser.post(PASSKEY_LOGIN, { ...(await passkeyLogin(browser, key)), transport: 'cookie' });
    const [row] = await app.query('select status from sessions where id = $1', [before]);
    expect(row).toEqual({ status: 'ended' });
  });

  it('may be used on all our pages within its domain', async () => {
    const { key } = await holder();
    const from = (origin: string) => logInWith(app.client(), key, { origin });
    expect((await from('https://shop.example.com')).status).toBe(200);
    for (const origin of ['https://example.org', 'https://evil.example.com', 'https://example.com'])
      expect(await from(origin)).toMatchObject(REFUSED);
  });

  it('shows its stored data to its owner', async () => {
    const me = await loggedIn(app, { email });
    me.headers['user-agent'] =
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36';
    const key = new Authenticator(ORIGIN, { synced: true });
    const { body } = await enrolPasskey(me, key);
    expect(body).toEqual({
      id: expect.any(String),
      name: 'Chrome on Linux',
      credentialId: key.credentialId.toString('base64url'),
      aaguid: key.aaguid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
      transports: ['hybrid', 'internal'],
      synced: true,
      backedUp: true,
      createdAt: expect.any(String),
    });
    key.aaguid.fill(0);
    await logInWith(app.client(), key);
    expect((await me.get(PASSKEYS)).body.items).toEqual([{ ...body, lastUsedAt: expect.any(String) }]);
  });

  it('is renamed and removed by its owner only', async () => {
    const { me, id } = await holder();
    ({ email } = await createUser(app));
    const bob = await loggedIn(app, { email });
    for (const foreign of [id, '00000000-0000-4000-8000-000000000000']) {
      expect((await bob.patch(`${PASSKEYS}/${foreign}`, { name: 'mine' })).status).toBe(404);
      expect((await bob.delete(`${PASSKEYS}/${foreign}`)).status).toBe(404);
    }
    expect((await bob.get(PASSKEYS)).body).toEqual({ items: [] });
    expect((await me.patch(`${PASSKEYS}/${id}`, { name: 'The blue one' })).body.name).toBe('The blue one');
    expect(await namesOf(me)).toEqual(['The blue one']);
    expect(await events(me.userId, 'authn_passkey_renamed')).toEqual([
      { type: 'authn_passkey_renamed', details: { passkey: id } },
    ]);
    expect((await me.delete(`${PASSKEYS}/${id}`)).status).toBe(204);
    expect(await namesOf(me)).toEqual([]);
  });

  it('that is added or removed ends every other session, and causes a mail and an audit event (ASVS 7.4.3)', async () => {
    const laptop = await loggedIn(app, { email });
    const { me, key, id } = await holder();
    expect(await sessionTier(other, laptop)).toBe('mfa_change');
    const phone = app.client();
    const { body } = await logInWith(phone, key);
    expect((await me.delete(`${PASSKEYS}/${id}`)).status).toBe(204);
    const ended = { id: body.session.id, userId: me.userId };
    expect(await sessionTier(other, ended)).toBe('mfa_change');
    expect(await sessionTier(other, me)).toBe('live');
    expect(await subjects()).toEqual(['A passkey was added', 'A passkey was removed']);
    expect(await events(me.userId, 'authn_passkey_%')).toEqual([
      { type: 'authn_passkey_added', details: expect.objectContaining({ passkey: id }) },
      { type: 'authn_passkey_removed', details: expect.objectContaining({ passkey: id }) },
    ]);
    expect(await logInWith(app.client(), key)).toMatchObject(REFUSED);
  });

  it('gives the browser that adds or removes it new cookies, and voids a copy of the old ones', async () => {
    const me = await loggedIn(app, { email }, 'cookie');
    const copies = [me.copy()];
    const { body } = await enrolPasskey(me, new Authenticator(ORIGIN));
    copies.push(me.copy());
    expect((await me.delete(`${PASSKEYS}/${body.id}`)).status).toBe(204);
    expect((await me.get('/v1/sessions/current')).body.id).toBe(me.id);
    await keysDelivered(app, { later: true });
    for (const copy of copies) {
      expect((await copy.get('/v1/sessions/current')).status).toBe(401);
      expect((await copy.refresh()).status).toBe(401);
    }
    expect((await me.refresh()).status).toBe(200);
  });

  it('is added and removed in a fresh session only, by a second factor if one was proved: a password is not sufficient', async () => {
    const { me, id } = await holder();
    const key = new Authenticator(ORIGIN);
    const { body } = await me.post(`${PASSKEYS}/options`);
    clock.advance(5 * MINUTE);
    expect(await me.post(`${PASSKEYS}/options`)).toMatchObject(STALE);
    expect(await me.post(PASSKEYS, { response: key.create(body) })).toMatchObject(STALE);
    const proof = await me.post('/v1/auth/reauthenticate', { password: PASSWORD });
    expect(keepTokens(me, proof).status).toBe(200);
    expect(await me.delete(`${PASSKEYS}/${id}`)).toMatchObject(STALE);
    expect((await me.get(PASSKEYS)).body.items).toHaveLength(1);
  });

  it('is enrolled once, by any user and with any challenge', async () => {
    const { me, key } = await holder();
    expect((await enrolPasskey(me, key)).status).toBe(409);
    ({ email } = await createUser(app));
    const bob = await loggedIn(app, { email });
    expect((await enrolPasskey(bob, key)).status).toBe(409);
    expect((await bob.get(PASSKEYS)).body.items).toEqual([]);
    expect((await me.get(PASSKEYS)).body.items).toHaveLength(1);
  });

  it('is one of at most 20', async () => {
    const { me } = await holder();
    const { body } = await me.post(`${PASSKEYS}/options`);
    await app.query(
      `insert into passkeys select gen_random_uuid(), user_id, sha256(n::text::bytea), public_key, sign_count, transports,
         aaguid, backup_eligible, backed_up, name, created_at from passkeys, generate_series(1, 19) n where user_id = $1`,
      [me.userId],
    );
    expect((await me.post(`${PASSKEYS}/options`)).status).toBe(409);
    expect((await me.post(PASSKEYS, { response: new Authenticator(ORIGIN).create(body) })).status).toBe(409);
    expect((await me.get(PASSKEYS)).body.items).toHaveLength(20);
  });

  it('is deleted with the account', async () => {
    const { me, key } = await holder();
    expect((await me.delete('/v1/users/me')).status).toBe(204);
    expect(await app.query('select from passkeys where user_id = $1', [me.userId])).toEqual([]);
    expect(await logInWith(app.client(), key)).toMatchObject(REFUSED);
  });
});

describe('a new passkey is not enrolled', () => {
  it.each<[string, Deviation]>([
    ['on a page of another origin', { origin: 'https://example.com.evil.test' }],
    ['in a frame of another origin', { crossOrigin: true, topOrigin: 'https://evil.test' }],
    ['for another domain', { rpId: 'evil.test' }],
    ['without user verification', { userVerified: false }],
    ['without user presence', { userPresent: false }],
    ['as the answer to a login', { type: 'webauthn.get' }],
    ['with an id that is too long', { credentialId: randomBytes(1_024) }],
    ['to a forged challenge', { challenge: randomBytes(70).toString('base64url') }],
    ['to no challenge', { challenge: '' }],
  ])('%s', async (_what, deviation) => {
    const me = await loggedIn(app, { email });
    expect(await enrolPasskey(me, new Authenticator(ORIGIN), deviation)).toMatchObject(UNEXPECTED);
    expect((await me.get(PASSKEYS)).body.items).toEqual([]);
    expect(await subjects()).toEqual([]);
  });

  it('to the challenge of another session, of a login, or of a step-up', async () => {
    const me = await loggedIn(app, { email });
    const twin = await loggedIn(app, { email });
    for (const asked of [
      await twin.post(`${PASSKEYS}/options`),
      await me.post(`${PASSKEY_LOGIN}/options`),
      await me.post(`${PASSKEY_STEP_UP}/options`),
    ]) {
      const { challenge } = asked.body;
      expect(asked.status).toBe(200);
      expect(await enrolPasskey(me, new Authenticator(ORIGIN), { challenge })).toMatchObject(UNEXPECTED);
    }
  });

  it('to a challenge that was used, or has expired', async () => {
    const me = await loggedIn(app, { email });
    const key = new Authenticator(ORIGIN);
    const { body } = await me.post(`${PASSKEYS}/options`);
    const add = (made: Authenticator) => me.post(PASSKEYS, { response: made.create(body) });
    expect((await add(key)).status).toBe(201);
    expect(await add(new Authenticator(ORIGIN))).toMatchObject(UNEXPECTED);
    const late = await me.post(`${PASSKEYS}/options`);
    clock.advance(5 * MINUTE);
    expect((await stepUpWith(me, key)).status).toBe(200);
    const answer = await me.post(PASSKEYS, { response: new Authenticator(ORIGIN).create(late.body) });
    expect(answer).toMatchObject(UNEXPECTED);
    expect((await me.get(PASSKEYS)).body.items).toHaveLength(1);
  });

  it('by more than one of 20 answers to one challenge at once', async () => {
    const me = await loggedIn(app, { email });
    const { body } = await me.post(`${PASSKEYS}/options`);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        me
          .copy()
          .at(index % 2 ? app : other)
          .post(PASSKEYS, { response: new Authenticator(ORIGIN).create(body) }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect((await me.get(PASSKEYS)).body.items).toHaveLength(1);
  });

  it.each([
    ['nothing', {}],
    ['no response', { response: {} }],
    ['a text', { response: 'x' }],
    ['padding', { id: 'AA==' }],
    ['two different ids', { rawId: 'AAAA' }],
    ['another type', { type: 'password' }],
    ['invalid client data', { clientDataJSON: 'AAAA' }],
    ['client data without an object', { clientDataJSON: Buffer.from('null').toString('base64url') }],
    ['an invalid attestation', { attestationObject: 'AAAA' }],
    ['an empty attestation', { attestationObject: 'oA' }],
    ['nesting without end', { attestationObject: Buffer.alloc(4_000, 0x81).toString('base64url') }],
    ['a map of maps without end', { attestationObject: Buffer.alloc(4_000, 0xa1).toString('base64url') }],
    ['noise', { attestationObject: randomBytes(4_000).toString('base64url') }],
    ['a length out of range', { attestationObject: 'owD7____________' }],
    ['a transport with a NUL', { transports: ['usb\0'] }],
  ])('from %s, which gets 400', async (_what, change: Record<string, unknown>) => {
    const me = await loggedIn(app, { email });
    const { body } = await me.post(`${PASSKEYS}/options`);
    const whole = new Authenticator(ORIGIN).create(body);
    const inner = Object.keys(change).some((name) => name in whole.response);
    const response = inner
      ? { ...whole, response: { ...whole.response, ...change } }
      : Object.keys(change).length > 0
        ? { ...whole, ...change }
        : {};
    const answer = await me.post(PASSKEYS, { response });
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });
});

describe('beside other factors, a passkey', () => {
  it('is offered to a login that requires a second factor', async () => {
    const me = await loggedIn(app, { email });
    await enrol(app, me);
    const methods = async () =>
      (await app.client().post('/v1/auth/login', { email, password: PASSWORD })).body.methods;
    expect(await methods()).toEqual(['totp', 'recovery_code']);
    const key = new Authenticator(ORIGIN);
    await enrolPasskey(me, key);
    expect(await methods()).toEqual(['totp', 'recovery_code', 'passkey']);
    expect((await me.get('/v1/auth/mfa')).body).toMatchObject({ passkeys: 1, totp: {} });
    expect((await logInWith(app.client(), key)).status).toBe(200);
  });

  it('alone leaves the password login unchanged', async () => {
    await holder();
    expect((await app.client().login(email, PASSWORD)).status).toBe(200);
  });

  it('keeps its proof when another factor is removed, and the proof ends with the last factor', async () => {
    const { me, id } = await holder();
    const proved = async () => 'secondFactorAt' in (await me.get('/v1/sessions/current')).body;
    await enrol(app, me);
    expect((await me.delete('/v1/auth/mfa/totp')).status).toBe(204);
    expect(await proved()).toBe(true);
    expect((await me.delete(`${PASSKEYS}/${id}`)).status).toBe(204);
    expect(await proved()).toBe(false);
  });

  it('is removed with them by an admin, for a user who has lost everything', async () => {
    const { me, key } = await holder();
    const admin = await loggedIn(app, ADMIN);
    expect((await admin.delete(`/v1/admin/users/${me.userId}/mfa`)).status).toBe(200);
    expect(await logInWith(app.client(), key)).toMatchObject(REFUSED);
    expect(await sessionTier(app, me)).toBe('mfa_change');
  });
});

describe('a passkey with ADMIN_MFA=required', () => {
  let strict: TestApp;
  const MISSING = { status: 403, body: { code: 'auth.second_factor_required' } };
  const asAdmin = (client: Client) => client.get('/v1/admin/users?limit=1');

  beforeAll(async () => {
    strict = await startApp({ clock, env: { ...PASSKEY_ENV, ADMIN_MFA: 'required' } });
    holdBackgroundWork(strict);
  });
  afterAll(() => strict?.close());
  beforeEach(async () => {
    ({ email } = await createUser(app, ['user', 'admin']));
  });

  it('gives access to admin routes: in the session that enrols it, in one that begins with it, and in one that steps up with it', async () => {
    const me = await loggedIn(strict, { email });
    expect(await asAdmin(me)).toMatchObject(MISSING);
    const key = new Authenticator(ORIGIN);
    expect((await enrolPasskey(me, key)).status).toBe(201);
    await eventually(async () => expect((await asAdmin(me)).status).toBe(200));

    const phone = strict.client();
    await logInWith(phone, key);
    expect((await asAdmin(phone)).status).toBe(200);

    const laptop = await loggedIn(strict, { email });
    expect(await asAdmin(laptop)).toMatchObject(MISSING);
    expect((await laptop.get(PASSKEYS)).body.items).toHaveLength(1);
    expect((await stepUpWith(laptop, key)).status).toBe(200);
    expect((await asAdmin(laptop)).status).toBe(200);
  });

  it('that is enrolled prevents a login by password alone from enrolling another factor', async () => {
    const me = await loggedIn(strict, { email });
    await enrolPasskey(me, new Authenticator(ORIGIN));
    const thief = await loggedIn(strict, { email });
    expect(await thief.post(`${PASSKEYS}/options`)).toMatchObject(MISSING);
    expect(await thief.post('/v1/auth/mfa/totp')).toMatchObject(MISSING);
    expect(await asAdmin(thief)).toMatchObject(MISSING);
  });
});
