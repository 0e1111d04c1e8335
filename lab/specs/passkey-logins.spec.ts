import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { SessionIssuer } from '../../src/auth/login/session-issuer.service.js';
import { ADMIN, holdBackgroundWork, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { Authenticator, type Deviation } from '../../test/support/authenticator.js';
import type { Answer } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { Mailbox } from '../../test/support/mailbox.js';
import {
  eventsOf,
  holderOf,
  logInWith,
  ORIGIN,
  passkeyLogin,
  PASSKEY_ENV,
  PASSKEY_LOGIN,
  PASSKEY_STEP_UP,
  PASSKEYS,
  stepUpWith,
} from '../../test/support/passkeys.js';
import { loggedIn, createUser, type Person } from '../../test/support/test-users.js';

const MINUTE = 60_000;
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
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

/** Everything that a caller can see, except the request id. */
function visible({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = body as Record<string, unknown>;
  return { status, headers: rest, body: said };
}

/** Real: PostgreSQL, the cache, two instances, keys and signatures. Simulated: the mail server. */
describe('a login by passkey is refused', () => {
  it.each<[string, Deviation]>([
    ['from a page of another origin', { origin: 'https://example.com.evil.test' }],
    ['in a frame of another origin', { crossOrigin: true }],
    ['for another domain', { rpId: 'evil.test' }],
    ['without user verification', { userVerified: false }],
    ['without user presence', { userPresent: false }],
    ['as an enrolment', { type: 'webauthn.create' }],
    ['by another key', { privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
    ['by an unknown passkey', { credentialId: randomBytes(32) }],
    ['without a user handle', { userHandle: null }],
    ['with the user handle of another user', { userHandle: randomBytes(16).toString('base64url') }],
    ['to a forged challenge', { challenge: randomBytes(70).toString('base64url') }],
  ])('%s, without a reason', async (_what, deviation) => {
    const { me, key } = await holder();
    await mailbox.collect();
    const [unknown, answer] = [
      await logInWith(app.client(), new Authenticator(ORIGIN)),
      await logInWith(app.client(), key, deviation),
    ];
    expect(answer).toMatchObject(REFUSED);
    expect(visible(answer)).toEqual(visible(unknown));
    expect((await me.get('/v1/sessions')).body.items).toHaveLength(1);
    expect(await subjects()).toEqual([]);
    expect((await logInWith(app.client(), key)).status).toBe(200);
  });

  it('to a challenge for another user or another purpose', async () => {
    const { me, key } = await holder();
    for (const asked of [await me.post(`${PASSKEYS}/options`), await me.post(`${PASSKEY_STEP_UP}/options`)]) {
      const { challenge } = asked.body;
      expect(await logInWith(app.client(), key, { challenge })).toMatchObject(REFUSED);
    }
    const [mine, theirs] = [await passkeyLogin(app.client(), key), await passkeyLogin(app.client(), key)];
    const { challengeToken } = theirs;
    expect(await app.client().post(PASSKEY_LOGIN, { ...mine, challengeToken })).toMatchObject(REFUSED);
    expect((await app.client().post(PASSKEY_LOGIN, mine)).status).toBe(200);
  });

  it('after its time limit', async () => {
    const { key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    const [late, just] = [await passkeyLogin(app.client(), key), await passkeyLogin(app.client(), key)];
    clock.advance(4 * MINUTE);
    expect((await other.client().post(PASSKEY_LOGIN, just)).status).toBe(200);
    clock.advance(MINUTE);
    expect(await app.client().post(PASSKEY_LOGIN, late)).toMatchObject(REFUSED);
  });

  it('of a user who is banned, or has not verified their address', async () => {
    const { me, key } = await holder();
    const admin = await loggedIn(app, ADMIN);
    expect((await admin.post(`/v1/admin/users/${me.userId}/ban`, { reason: 'spam' })).status).toBe(200);
    expect(await logInWith(app.client(), key)).toMatchObject(REFUSED);
    expect((await admin.delete(`/v1/admin/users/${me.userId}/ban`)).status).toBe(200);
    expect((await logInWith(app.client(), key)).status).toBe(200);

    const strict = await startApp({ clock, env: { ...PASSKEY_ENV, EMAIL_VERIFICATION: 'required' } });
    holdBackgroundWork(strict);
    expect((await logInWith(strict.client(), key)).status).toBe(200);
    await app.query('update users set email_verified_at = null where id = $1', [me.userId]);
    expect(await logInWith(strict.client(), key)).toMatchObject(REFUSED);
    await strict.close();
  });

  it('when the passkey is removed meanwhile', async () => {
    const { me, key, id } = await holder();
    const entrance = app.get(SessionIssuer);
    const open = entrance.issue.bind(entrance);
    jest.spyOn(entrance, 'issue').mockImplementationOnce(async (...args) => {
      expect((await me.at(other).delete(`${PASSKEYS}/${id}`)).status).toBe(204);
      return open(...args);
    });
    expect(await logInWith(app.client(), key)).toMatchObject(REFUSED);
    expect((await me.get('/v1/sessions')).body.items).toHaveLength(1);
    expect(await events(me.userId, 'authn_passkey_cloned')).toEqual([]);
  });

  it.each([
    ['no token', { challengeToken: undefined }],
    ['a token of another shape', { challengeToken: 'x' }],
    ['a token that is a list', { challengeToken: ['x'] }],
    ['another transport', { transport: 'pigeon' }],
    ['no answer', { response: undefined }],
    ['an unknown field', { userId: 'x' }],
  ])('and the error names the field, with %s', async (_what, change) => {
    const { key } = await holder();
    const answer = await app
      .client()
      .post(PASSKEY_LOGIN, { ...(await passkeyLogin(app.client(), key)), ...change });
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it.each(['id', 'rawId', 'clientDataJSON', 'authenticatorData', 'signature', 'userHandle'])(
    'without a 5xx for any value of %s',
    async (member) => {
      const { key } = await holder();
      const { response: whole, ...login } = await passkeyLogin(app.client(), key);
      const wrong = [
        ...['', '=', '!', '\0', 1, [], {}, true].map((value) => [value, 400]),
        ...['A', 'AAAA', randomBytes(37).toString('base64url'), randomBytes(2_000).toString('base64url')].map(
          (value) => [value, 401],
        ),
      ];
      for (const [value, status] of wrong) {
        const response =
          member in whole.response
            ? { ...whole, response: { ...whole.response, [member]: value } }
            : { ...whole, [member]: value };
        const answer = await app.client().post(PASSKEY_LOGIN, { ...login, response });
        expect({ value, status: answer.status }).toEqual({ value, status });
      }
    },
  );
});

describe('one signature of a passkey', () => {
  it('opens one session, however many requests use it at once, on two instances', async () => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    const login = await passkeyLogin(app.client(), key);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? app : other).client().post(PASSKEY_LOGIN, login)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(401)]);
    expect((await me.get('/v1/sessions')).body.items).toHaveLength(2);
    expect(await app.client().post(PASSKEY_LOGIN, login)).toMatchObject(REFUSED);
  });

  it('leaves no record when its challenge is unused, and a temporary one when it is used', async () => {
    const kept = async () => (await app.query('select from used_passkey_challenges')).length;
    const { key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    clock.advance(5 * MINUTE);
    expect((await logInWith(app.client(), key)).status).toBe(200);
    expect(await kept()).toBe(1);
    for (let asked = 0; asked < 50; asked += 1) await passkeyLogin(app.client(), key, { signCount: 0 });
    expect(await kept()).toBe(1);
    expect((await logInWith(app.client(), key)).status).toBe(200);
    expect(await kept()).toBe(2);
    clock.advance(5 * MINUTE);
    expect((await logInWith(app.client(), key)).status).toBe(200);
    expect(await kept()).toBe(1);
  });
});

/** RFC 4648 4 and 5. */
const SPELLINGS: [string, (bytes: Buffer) => string][] = [
  ['base64url with padding', (bytes) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')],
  ['base64', (bytes) => bytes.toString('base64')],
  ['base64 without padding', (bytes) => bytes.toString('base64').replace(/=+$/, '')],
];

/** The answer of a password manager that replaces the browser, in an encoding of its own. */
function spelled(answer: object, spell: (bytes: Buffer) => string): object {
  const entries = Object.entries(answer).map(([name, value]): [string, unknown] => {
    if (name === 'response') return [name, spelled(value as object, spell)];
    const isText = typeof value !== 'string' || name === 'type' || name === 'authenticatorAttachment';
    return [name, isText ? value : spell(Buffer.from(value, 'base64url'))];
  });
  return Object.fromEntries(entries);
}

describe('an answer of an authenticator', () => {
  it.each(SPELLINGS)('is the same in %s', async (_, spell) => {
    const me = await loggedIn(app, { email });
    // Every remainder of three, so that each padding occurs.
    for (const length of [31, 32, 33]) {
      const key = new Authenticator(ORIGIN);
      Object.assign(key, { credentialId: Buffer.alloc(length, 0xfb) });
      const { body: creation } = await me.post(`${PASSKEYS}/options`);
      const made = await me.post(PASSKEYS, { response: spelled(key.create(creation), spell) });
      expect(made).toMatchObject({
        status: 201,
        body: { credentialId: key.credentialId.toString('base64url') },
      });
      const login = await passkeyLogin(app.client(), key);
      const answer = { ...login, response: spelled(login.response, spell) };
      expect((await app.client().post(PASSKEY_LOGIN, answer)).status).toBe(200);
      const { body: request } = await me.post(`${PASSKEY_STEP_UP}/options`);
      const proof = { response: { ...spelled(key.get(request), spell) } };
      const stepUp = await me.post(PASSKEY_STEP_UP, proof);
      expect(stepUp.status).toBe(200);
      Object.assign(me, { accessToken: stepUp.body.accessToken, refreshToken: stepUp.body.refreshToken });
      expect((await me.delete(`${PASSKEYS}/${made.body.id}`)).status).toBe(204);
    }
  });

  it.each([
    ['two alphabets at once', '-_+/'],
    ['too much padding', 'A==='],
    ['padding alone', '=='],
    ['padding in between', 'AA==AA=='],
    ['a line break', 'AAAA\n'],
    ['nothing', ''],
  ])('with %s is refused', async (_, id) => {
    const { key } = await holder();
    const login = await passkeyLogin(app.client(), key);
    const answer = { ...login, response: { ...login.response, id, rawId: id } };
    expect(await app.client().post(PASSKEY_LOGIN, answer)).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    });
  });
});

describe('the signature counter of a passkey', () => {
  const isTold = async (me: Person) => {
    const cloned = await events(me.userId, 'authn_passkey_cloned');
    const mails = (await subjects()).filter((subject) => subject.endsWith('may have been copied'));
    return [cloned.length, mails.length];
  };

  it('that does not rise reveals a copy: the login is refused and recorded, and the user gets a mail', async () => {
    const { me, key, id } = await holder();
    expect((await logInWith(app.client(), key, { signCount: 7 })).status).toBe(200);
    for (const signCount of [7, 6, 0])
      expect(await logInWith(other.client(), key, { signCount })).toMatchObject(REFUSED);
    expect(await events(me.userId, 'authn_passkey_cloned')).toEqual(
      [7, 6, 0].map((presented) => ({
        type: 'authn_passkey_cloned',
        details: { passkey: id, expectedAbove: 7, presented },
      })),
    );
    expect(await isTold(me)).toEqual([3, 3]);
    expect((await logInWith(app.client(), key, { signCount: 8 })).status).toBe(200);
  });

  it('counts only with a valid signature, so that strangers cannot raise an alarm', async () => {
    const { me, key } = await holder();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(await logInWith(app.client(), key, { signCount: 0, privateKey })).toMatchObject(REFUSED);
    expect(await logInWith(app.client(), key, { signCount: 2 ** 32 - 1, privateKey })).toMatchObject(REFUSED);
    expect(await isTold(me)).toEqual([0, 0]);
    expect((await logInWith(app.client(), key)).status).toBe(200);
  });

  it('raises one alarm per answer, because an answer cannot be sent again', async () => {
    const { me, key } = await holder();
    const login = await passkeyLogin(app.client(), key, { signCount: 1 });
    for (let again = 0; again < 3; again += 1) await app.client().post(PASSKEY_LOGIN, login);
    expect(await isTold(me)).toEqual([1, 1]);
  });

  it('that stays 0, as with synced passkeys, has no meaning', async () => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    for (let again = 0; again < 3; again += 1) expect((await logInWith(app.client(), key)).status).toBe(200);
    expect(await isTold(me)).toEqual([0, 0]);
  });

  it.each([
    ['that falls behind', [7, 6, 1]],
    ['that stays where it is', [5, 5, 5]],
    ['that has stopped counting', [5, 0, 0]],
  ])('of a synced passkey %s has no meaning, because its devices count independently', async (_, counts) => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    for (const signCount of counts)
      expect((await logInWith(app.client(), key, { signCount })).status).toBe(200);
    expect((await stepUpWith(me, key, { signCount: 1 })).status).toBe(200);
    expect(await isTold(me)).toEqual([0, 0]);
  });

  it('of a synced passkey accepts both of two logins that overtake each other', async () => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    const first = await passkeyLogin(app.client(), key, { signCount: 5 });
    const second = await passkeyLogin(app.client(), key, { signCount: 6 });
    for (const login of [second, first])
      expect((await app.client().post(PASSKEY_LOGIN, login)).status).toBe(200);
    expect(await isTold(me)).toEqual([0, 0]);
  });

  it('of one device falls behind when two logins overtake each other: the late one is refused without an alarm', async () => {
    const { me, key } = await holder();
    const first = await passkeyLogin(app.client(), key, { signCount: 5 });
    const second = await passkeyLogin(app.client(), key, { signCount: 6 });
    expect((await app.client().post(PASSKEY_LOGIN, second)).status).toBe(200);
    expect(await app.client().post(PASSKEY_LOGIN, first)).toMatchObject(REFUSED);
    expect(await isTold(me)).toEqual([0, 0]);
    // Its challenge was issued after the last login, so it cannot be a delayed answer.
    expect(await logInWith(app.client(), key, { signCount: 5 })).toMatchObject(REFUSED);
    expect(await isTold(me)).toEqual([1, 1]);
  });

  it('accepts one of two simultaneous logins with the same value', async () => {
    const { me, key } = await holder();
    const logins = [
      await passkeyLogin(app.client(), key, { signCount: 5 }),
      await passkeyLogin(app.client(), key, { signCount: 5 }),
    ];
    const answers = await Promise.all([
      app.client().post(PASSKEY_LOGIN, logins[0]),
      other.client().post(PASSKEY_LOGIN, logins[1]),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect(await isTold(me)).toEqual([1, 1]);
  });
});

describe('a step-up by passkey', () => {
  it('makes the session fresh again, and proves a second factor in it', async () => {
    const { me, key } = await holder();
    clock.advance(5 * MINUTE);
    expect(await me.post(`${PASSKEYS}/options`)).toMatchObject(STALE);
    const options = await me.post(`${PASSKEY_STEP_UP}/options`);
    expect(options.body).toEqual({
      challenge: expect.any(String),
      rpId: 'example.com',
      timeout: 5 * MINUTE,
      userVerification: 'required',
      allowCredentials: [
        { id: key.credentialId.toString('base64url'), type: 'public-key', transports: ['usb'] },
      ],
    });
    const answer = await stepUpWith(me, key, { userHandle: null });
    expect(answer).toMatchObject({ status: 200, body: { session: { id: me.id } } });
    expect((await me.post(`${PASSKEYS}/options`)).status).toBe(200);
    expect(await events(me.userId, 'authn_reauthenticated')).toHaveLength(1);
  });

  it('marks a session that began with a password only', async () => {
    const { key } = await holder();
    const me = await loggedIn(app, { email });
    expect((await me.get('/v1/sessions/current')).body).not.toHaveProperty('secondFactorAt');
    expect((await stepUpWith(me, key)).status).toBe(200);
    expect((await me.get('/v1/sessions/current')).body).toHaveProperty('secondFactorAt');
  });

  it('is refused with another user’s valid passkey', async () => {
    const bob = await holder();
    ({ email } = await createUser(app));
    const { me } = await holder();
    const { userHandle } = new Authenticator(ORIGIN);
    clock.advance(5 * MINUTE);
    expect(await stepUpWith(me, bob.key)).toMatchObject(REFUSED);
    expect(await stepUpWith(me, bob.key, { userHandle })).toMatchObject(REFUSED);
    expect(await me.post(`${PASSKEYS}/options`)).toMatchObject(STALE);
    expect((await logInWith(app.client(), bob.key)).status).toBe(200);
  });

  it('is refused with a used answer, and with an answer for another session, a login or an enrolment', async () => {
    const { me, key } = await holder();
    const twin = app.client();
    await logInWith(twin, key);
    for (const asked of [
      await twin.post(`${PASSKEY_STEP_UP}/options`),
      await twin.post(`${PASSKEY_LOGIN}/options`),
      await twin.post(`${PASSKEYS}/options`),
    ]) {
      expect(asked.status).toBe(200);
      const { challenge } = asked.body;
      expect(await stepUpWith(me, key, { challenge })).toMatchObject(REFUSED);
    }
    const { body } = await me.post(`${PASSKEY_STEP_UP}/options`);
    const response = key.get(body);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        me
          .copy()
          .at(index % 2 ? app : other)
          .post(PASSKEY_STEP_UP, { response }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(401)]);
  });

  it('is refused when the counter does not rise', async () => {
    const { me, key } = await holder();
    expect(await stepUpWith(me, key, { signCount: 1 })).toMatchObject(REFUSED);
    expect(await events(me.userId, 'authn_passkey_cloned')).toHaveLength(1);
  });
});

describe('wrong passkey signatures', () => {
  const LIMITED = { status: 429, body: { code: 'request.rate_limited' } };
  let limited: TestApp;

  beforeAll(async () => {
    limited = await startApp({
      clock,
      env: { ...PASSKEY_ENV, RATE_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', CACHE_BUDGET: '1s' },
    });
    holdBackgroundWork(limited);
  });
  afterAll(() => limited?.close());

  it('throttle their address, and no other client', async () => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    const from = (ip: string, deviation?: Deviation) => {
      const client = limited.client();
      client.headers['x-forwarded-for'] = ip;
      return logInWith(client, key, deviation);
    };
    const wrong = { challenge: 'AAAA' };
    expect((await from('192.0.2.1')).status).toBe(200);
    for (let tries = 0; tries < 100; tries += 1)
      expect(await from('192.0.2.1', wrong)).toMatchObject(REFUSED);
    expect(await from('192.0.2.1', wrong)).toMatchObject(LIMITED);
    expect(await from('192.0.2.1')).toMatchObject(LIMITED);
    expect((await from('192.0.2.2')).status).toBe(200);
    const mine = me.at(limited);
    expect((await stepUpWith(mine, key)).status).toBe(200);
  });

  it('are counted apart from right ones, which never throttle', async () => {
    const { key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    for (let times = 0; times < 101; times += 1)
      expect((await logInWith(limited.client(), key)).status).toBe(200);
  });

  it('in a session throttle that session, and no other', async () => {
    const { me, key } = await holder(new Authenticator(ORIGIN, { synced: true }));
    const thief = Object.assign(me.copy(), { id: me.id }).at(limited);
    for (let tries = 0; tries < 10; tries += 1)
      expect(await stepUpWith(thief, key, { challenge: 'AAAA' })).toMatchObject(REFUSED);
    expect(await stepUpWith(thief, key)).toMatchObject(LIMITED);
    const owner = limited.client();
    expect((await logInWith(owner, key)).status).toBe(200);
    expect((await stepUpWith(owner, key)).status).toBe(200);
  });
});
