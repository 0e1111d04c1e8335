import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SecretReencryptionJob } from '../src/auth/mfa/totp/secret-reencryption.job.js';
import {
  ADMIN,
  ALICE,
  holdBackgroundWork,
  PASSWORD,
  resetStores,
  startApp,
  TEST_KEYS,
  type TestApp,
} from './support/app.js';
import type { Client } from './support/client.js';
import { TestClock } from './support/clock.js';
import { Mailbox } from './support/mailbox.js';
import { keysDelivered, loggedIn, sessionTier } from './support/test-users.js';
import { AuthenticatorApp, complete, enrol } from './support/second-factor.js';
import { connect, disconnect, untilBlocked } from './support/waiting.js';
import { read } from './support/forge.js';
import { PRODUCT } from '../src/product.js';
import { COOKIES } from './support/cookies.js';

const MINUTE = 60_000;
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const BEGIN_AGAIN = { status: 401, body: { code: 'auth.invalid_token' } };
const NEW_PASSWORD = 'the kettle sings at noon';

let clock: TestClock;
let app: TestApp;
let other: TestApp;
let mailbox: Mailbox;
let email: string;
let count = 0;

beforeAll(async () => {
  await resetStores();
  clock = new TestClock();
  const env = { TRUSTED_ORIGINS: 'capacitor://localhost' };
  [app, other] = [await startApp({ clock, env }), await startApp({ clock })];
  holdBackgroundWork(other);
  mailbox = new Mailbox(app);
});
afterAll(() => Promise.all([app?.close(), other?.close()]));
beforeEach(async () => {
  email = await newUser();
  await mailbox.collect();
});

async function newUser(roles = ['user']): Promise<string> {
  const address = `someone${(count += 1)}@example.com`;
  await app.query(
    `insert into users (id, email, password_hash, roles, created_at)
     select gen_random_uuid(), $1, password_hash, $3, now() from users where id = $2`,
    [address, ALICE.id, roles],
  );
  return address;
}

const login = (client: Client, password = PASSWORD, extra: object = { transport: 'bearer' }) =>
  client.login(email, password, { ...extra });

async function challengeOf(client: Client, extra?: object): Promise<string> {
  const answer = await login(client, PASSWORD, extra);
  expect(answer).toMatchObject({ status: 200, body: { status: 'mfa_required' } });
  return answer.body.challengeToken;
}

/** Keeps the new tokens. */
async function reauthenticate(client: Client, proof: object): Promise<void> {
  const answer = await client.post('/v1/auth/reauthenticate', proof);
  expect(answer.status).toBe(200);
  const { accessToken, refreshToken } = answer.body;
  Object.assign(client, { accessToken, refreshToken });
}

const subjects = async () => (await mailbox.collect()).map(({ subject }) => subject);
const events = (userId: string, type = 'authn_%') =>
  app.query<{ type: string; details: Record<string, unknown> }>(
    'select type, details from audit_events where user_id = $1 and type like $2 order by id',
    [userId, type],
  );

/** Real: PostgreSQL, the cache, two instances. Simulated: the mail server, the phone. */
describe('a user who enrols an authenticator app', () => {
  it('gets a secret of 160 bits, as text and for a QR code, which has no effect before its first code', async () => {
    const me = await loggedIn(app, { email });
    const { body } = await me.post('/v1/auth/mfa/totp');
    expect(body.secret).toMatch(/^[A-Z2-7]{32}$/);
    const url = new URL(body.otpauthUrl);
    expect([url.protocol, url.host]).toEqual(['otpauth:', 'totp']);
    expect(decodeURIComponent(url.pathname)).toBe(`/${PRODUCT.name}:${email}`);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      secret: body.secret,
      issuer: PRODUCT.name,
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    });
    expect((await me.get('/v1/auth/mfa')).body).toEqual({
      required: false,
      totp: null,
      recoveryCodesLeft: 0,
      passkeys: 0,
    });
    expect((await login(app.client())).body.accessToken).toBeDefined();
    expect(await subjects()).toEqual([]);
  });

  it('confirms it with a code, needs a code from then on, and gets a mail', async () => {
    const me = await loggedIn(app, { email });
    const { recoveryCodes } = await enrol(app, me);
    expect(new Set(recoveryCodes).size).toBe(10);
    for (const code of recoveryCodes)
      expect(code).toMatch(/^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/);
    expect((await me.get('/v1/auth/mfa')).body).toEqual({
      required: false,
      totp: { addedAt: expect.any(String) },
      recoveryCodesLeft: 10,
      passkeys: 0,
    });
    const answer = await login(app.client());
    expect(answer.body).toEqual({
      status: 'mfa_required',
      challengeToken: expect.stringMatching(/^(cookie|bearer)\.[\w-]{43}$/),
      methods: ['totp', 'recovery_code'],
      expiresIn: 300,
    });
    expect(answer.setCookies).toEqual([]);
    expect(await subjects()).toEqual(['A second factor was added']);
    expect(await events(me.userId)).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'authn_second_factor_added' })]),
    );
  });

  it.each([
    ['a wrong code', (phone: AuthenticatorApp) => phone.code(7), REFUSED],
    ['a code of two steps ago', (phone: AuthenticatorApp) => phone.code(-2), REFUSED],
    ['a code of two steps ahead', (phone: AuthenticatorApp) => phone.code(2), REFUSED],
  ])('with %s changes nothing', async (_, code, outcome) => {
    const me = await loggedIn(app, { email });
    const elsewhere = await loggedIn(app, { email });
    const { body } = await me.post('/v1/auth/mfa/totp');
    const phone = new AuthenticatorApp(body.secret, clock);
    expect(await me.post('/v1/auth/mfa/totp/confirm', { code: code(phone) })).toMatchObject(outcome);
    expect((await elsewhere.get('/v1/sessions/current')).status).toBe(200);
    expect((await login(app.client())).body.status).toBeUndefined();
    expect((await me.post('/v1/auth/mfa/totp/confirm', { code: phone.code() })).status).toBe(200);
  });

  it('may type the code with spaces', async () => {
    const me = await loggedIn(app, { email });
    const { body } = await me.post('/v1/auth/mfa/totp');
    const code = new AuthenticatorApp(body.secret, clock).code().replace(/^.../, '$& ');
    expect((await me.post('/v1/auth/mfa/totp/confirm', { code })).status).toBe(200);
  });

  it.each([1, -1])('may have a clock that is %i step off', async (steps) => {
    const me = await loggedIn(app, { email });
    const { body } = await me.post('/v1/auth/mfa/totp');
    const code = new AuthenticatorApp(body.secret, clock).code(steps);
    expect((await me.post('/v1/auth/mfa/totp/confirm', { code })).status).toBe(200);
  });

  it('has a quarter of an hour, in the session that began it, and the latest secret counts', async () => {
    const me = await loggedIn(app, { email });
    const elsewhere = await loggedIn(app, { email });
    const first = new AuthenticatorApp((await me.post('/v1/auth/mfa/totp')).body.secret, clock);
    const second = new AuthenticatorApp((await me.post('/v1/auth/mfa/totp')).body.secret, clock);
    const confirm = (client: Client, code: string) => client.post('/v1/auth/mfa/totp/confirm', { code });
    expect(await confirm(me, first.code())).toMatchObject(REFUSED);
    expect((await confirm(elsewhere, second.code())).status).toBe(409);
    clock.advance(15 * MINUTE);
    await me.refresh();
    await reauthenticate(me, { password: PASSWORD });
    expect((await confirm(me, second.code())).status).toBe(409);
    expect((await login(app.client())).body.status).toBeUndefined();
  });

  it.each(['cookie', 'bearer'] as const)(
    'ends every other session, and continues the own one (%s)',
    async (transport) => {
      const me = await loggedIn(app, { email }, transport);
      const phone = await loggedIn(other, { email });
      const thief = me.copy();
      await enrol(app, me);
      expect(await sessionTier(other, phone)).toBe('mfa_change');
      const session = (await me.get('/v1/sessions/current')).body;
      expect(session).toMatchObject({ id: me.id, secondFactorAt: session.authenticatedAt });
      expect((await me.refresh()).body.session.id).toBe(me.id);
      await keysDelivered(app, { later: true });
      if (transport === 'cookie')
        expect(await thief.refresh()).toMatchObject({ body: { code: 'auth.invalid_token' } });
    },
  );

  it('needs a fresh session', async () => {
    const me = await loggedIn(app, { email });
    clock.advance(6 * MINUTE);
    for (const path of ['totp', 'totp/confirm', 'recovery-codes'])
      expect(
        (await me.post(`/v1/auth/mfa/${path}`, path === 'totp/confirm' ? { code: '000000' } : undefined)).body
          .code,
      ).toBe('auth.reauthentication_required');
  });

  it('replaces it by another one with a code of the old one, and then only the new one counts', async () => {
    const me = await loggedIn(app, { email });
    const old = await enrol(app, me);
    clock.advance(MINUTE);
    const next = await enrol(app, me);
    const client = app.client();
    const challenge = await challengeOf(client);
    expect(await complete(client, challenge, old.phone.nextCode())).toMatchObject(REFUSED);
    expect(await complete(client, challenge, old.recoveryCodes[0]!)).toMatchObject(REFUSED);
    expect((await complete(client, challenge, next.phone.nextCode())).status).toBe(200);
  });
});

describe('a login with a second factor', () => {
  it.each(['cookie', 'bearer'] as const)(
    'is completed by a code, with the same answer as any login (%s)',
    async (transport) => {
      const { phone } = await enrol(app, await loggedIn(app, { email }));
      const me = app.client();
      const challenge = await challengeOf(me, { transport, deviceName: 'My laptop' });
      expect(me.jar.size).toBe(0);
      const answer = await complete(me, challenge, phone.nextCode());
      expect(answer).toMatchObject({
        status: 200,
        body: { user: { email }, session: { transport, device: { name: 'My laptop' }, current: true } },
      });
      expect(answer.body.session.secondFactorAt).toBe(answer.body.session.createdAt);
      expect(answer.setCookies).toHaveLength(transport === 'cookie' ? 3 : 0);
      expect((await me.at(other).get('/v1/sessions/current')).body.id).toBe(answer.body.session.id);
      expect((await me.refresh()).status).toBe(200);
      const [success] = (await events(answer.body.user.id, 'authn_login_success')).slice(-1);
      expect(success!.details).toMatchObject({ secondFactor: 'code' });
    },
  );

  it('refuses a used code and older ones, on every instance and for reauthentication (replay)', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    const [older, code] = [phone.code(1), (clock.advance(2 * 30_000), phone.code())];
    expect((await complete(me, await challengeOf(me), code)).status).toBe(200);
    const thief = other.client();
    const challenge = await challengeOf(thief);
    expect(await complete(thief, challenge, code)).toMatchObject(REFUSED);
    expect(await complete(thief, challenge, older)).toMatchObject(REFUSED);
    expect(await me.post('/v1/auth/reauthenticate', { code })).toMatchObject(REFUSED);
    expect((await complete(thief, challenge, phone.code(1))).status).toBe(200);
  });

  it('refuses the code that confirmed the app', async () => {
    app.clock.advance(30_000 - (app.clock.now() % 30_000)); // a code counts for 30 s: both uses fall into one step
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    expect(await complete(me, await challengeOf(me), phone.code())).toMatchObject(REFUSED);
  });

  it('accepts one of twenty simultaneous uses of one code, on two instances', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const clients = Array.from({ length: 20 }, (_, index) => [app, other][index % 2]!.client());
    const challenges = await Promise.all(clients.map((client) => challengeOf(client)));
    const code = phone.nextCode();
    const answers = await Promise.all(
      clients.map((client, index) => complete(client, challenges[index]!, code)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.code === 'auth.invalid_credentials')).toHaveLength(19);
  });

  it('accepts one of twenty simultaneous completions of one login, each with a code of its own', async () => {
    const { recoveryCodes } = await enrol(app, await loggedIn(app, { email }));
    const challenge = await challengeOf(app.client());
    const answers = await Promise.all(
      [...recoveryCodes, ...recoveryCodes].map((code, index) =>
        complete([app, other][index % 2]!.client(), challenge, code),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const [left] = await app.query(
      'select count(*)::int as count from recovery_codes c join users u on u.id = user_id where email = $1',
      [email],
    );
    expect(left).toEqual({ count: 9 });
  });

  it('expires after five minutes', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    const challenge = await challengeOf(me);
    clock.advance(5 * MINUTE);
    expect(await complete(me, challenge, phone.code())).toMatchObject(BEGIN_AGAIN);
  });

  it('allows another code after a wrong one, and records the attempt', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    const challenge = await challengeOf(me);
    expect(await complete(me, challenge, phone.code(5))).toMatchObject(REFUSED);
    const answer = await complete(me, challenge, phone.nextCode());
    expect(answer.status).toBe(200);
    expect((await events(answer.body.user.id)).map(({ type }) => type).slice(-3)).toEqual([
      'authn_second_factor_asked',
      'authn_second_factor_fail',
      'authn_login_success',
    ]);
  });

  it.each<[string, (userId: string, admin: Client) => Promise<unknown>]>([
    [
      'the password has been changed',
      (userId) => app.query(`update users set password_hash = password_hash || 'x' where id = $1`, [userId]),
    ],
    [
      'an admin has ended all sessions',
      (userId, admin) => admin.delete(`/v1/admin/users/${userId}/sessions`),
    ],
    [
      'the user was banned, even if the ban was lifted',
      async (userId, admin) => {
        expect((await admin.post(`/v1/admin/users/${userId}/ban`, { reason: 'x' })).status).toBe(200);
        expect((await admin.delete(`/v1/admin/users/${userId}/ban`)).status).toBe(200);
      },
    ],
    [
      'all users were logged out',
      (_, admin) => admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } }),
    ],
    ['an admin has removed the factor', (userId, admin) => admin.delete(`/v1/admin/users/${userId}/mfa`)],
  ])('has to start over when %s meanwhile', async (_, act) => {
    const owner = await loggedIn(app, { email });
    const { phone } = await enrol(app, owner);
    const me = app.client();
    const challenge = await challengeOf(me);
    await act(owner.userId, await loggedIn(app, ADMIN));
    expect(await complete(me, challenge, phone.nextCode())).toMatchObject(BEGIN_AGAIN);
  });

  it('is not completed by a forged challenge, and a challenge is no other credential', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    const challenge = await challengeOf(me);
    for (const token of [challenge.slice(1), `${challenge}x`, 'x'.repeat(43)])
      expect(await complete(me, token, phone.nextCode())).toMatchObject(BEGIN_AGAIN);
    me.accessToken = challenge;
    expect(await me.get('/v1/probe/flags')).toMatchObject(BEGIN_AGAIN);
    me.accessToken = undefined;
    expect((await me.post('/v1/auth/refresh', { refreshToken: challenge })).status).toBe(401);
  });

  it('is bound to the device that began it', async () => {
    const device = await loggedIn(app, { email });
    const { phone } = await enrol(app, device);
    const me = app.client();
    me.deviceToken = device.deviceToken;
    const challenge = await challengeOf(me);
    const thief = app.client();
    thief.deviceToken = (await loggedIn(app, ADMIN)).deviceToken;
    expect(await complete(thief, challenge, phone.nextCode())).toMatchObject(BEGIN_AGAIN);
    const { id } = (await device.get('/v1/sessions/current')).body.device;
    const answer = await complete(me, challenge, phone.nextCode());
    expect(answer.body.session.device.id).toBe(id);
    expect(me.deviceToken).toBe(device.deviceToken);
    // Without its device token it is a device like any other.
    const stranger = app.client();
    const again = await complete(stranger, await challengeOf(me), phone.nextCode());
    expect(again.body.session.device.id).not.toBe(id);
  });

  it('is not completed by the password alone when the factor is enrolled meanwhile', async () => {
    const { userId } = await loggedIn(app, { email });
    const outside = await connect();
    await outside.query('begin');
    await outside.query('select from users where id = $1 for update', [userId]);
    const late = login(app.client());
    await untilBlocked(app, 1);
    await outside.query(
      `insert into totp_factors (user_id, secret, key_id, last_step, created_at) values ($1, '', 'x', 0, now())`,
      [userId],
    );
    await outside.query('commit');
    expect(await late).toMatchObject({ status: 200, body: { status: 'mfa_required', methods: ['totp'] } });
    expect(
      await app.query(`select from sessions where user_id = $1 and status = 'active'`, [userId]),
    ).toHaveLength(1);
    await disconnect();
  });

  it('with a wrong password gets the usual refusal, which does not reveal the factor', async () => {
    await enrol(app, await loggedIn(app, { email }));
    const [wrong, unknown] = [email, 'unknown@example.com'].map((address) =>
      app.client().login(address, 'not the password of anybody'),
    );
    const { instance: _i, requestId: _r, ...said } = (await wrong!).body;
    expect(await wrong).toMatchObject(REFUSED);
    expect((await unknown!).body).toMatchObject(said);
  });
});

describe('a login with a second factor from another origin', () => {
  const headers = { origin: 'capacitor://localhost', 'sec-fetch-site': 'cross-site' };
  const completeFromThere = (challengeToken: string, code: string) =>
    app.client().post('/v1/auth/login/mfa', { challengeToken, code }, { headers });

  it('is completed there when it was begun for bearer tokens, and sets no cookie', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const body = { email, password: PASSWORD, transport: 'bearer' };
    const { challengeToken } = (await app.client().post('/v1/auth/login', body, { headers })).body;
    const answer = await completeFromThere(challengeToken, phone.nextCode());
    expect(answer).toMatchObject({ status: 200, setCookies: [], body: { session: { transport: 'bearer' } } });
  });

  it('is refused when it was begun for cookies, whatever the challenge claims: it would log the user into an attacker’s account', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const client = app.client();
    const challengeToken = await challengeOf(client, { transport: 'cookie' });
    const code = phone.nextCode();
    expect(await completeFromThere(challengeToken, code)).toMatchObject({
      status: 403,
      setCookies: [],
      body: { code: 'request.cross_site' },
    });
    const altered = challengeToken.replace('cookie.', 'bearer.');
    expect(altered).not.toBe(challengeToken);
    expect(await completeFromThere(altered, code)).toMatchObject({ ...BEGIN_AGAIN, setCookies: [] });
    expect(await complete(client, challengeToken, code)).toMatchObject({ status: 200 });
  });
});

describe('a recovery code', () => {
  it('is good once, in any spelling, and its owner gets a mail with the number left', async () => {
    const { recoveryCodes } = await enrol(app, await loggedIn(app, { email }));
    await mailbox.collect();
    const me = app.client();
    const spelled = recoveryCodes[0]!.toUpperCase().replaceAll('-', ' ');
    expect((await complete(me, await challengeOf(me), spelled)).status).toBe(200);
    expect((await me.get('/v1/auth/mfa')).body.recoveryCodesLeft).toBe(9);
    const [mail] = await mailbox.collect();
    expect(mail).toMatchObject({ to: email, subject: 'One of your recovery codes was used' });
    expect(mail!.text).toMatch(/9 codes are left\./);
    expect(await complete(me, await challengeOf(me), recoveryCodes[0]!)).toMatchObject(REFUSED);
  });

  it('that is one of the last adds a warning to its mail; when none is left, the login does not offer them', async () => {
    const { recoveryCodes } = await enrol(app, await loggedIn(app, { email }));
    const me = app.client();
    for (const code of recoveryCodes) await complete(me, await challengeOf(me), code);
    const mails = await mailbox.collect();
    expect(mails.at(-1)!.text).toMatch(/No codes are left. Create new ones/);
    expect(mails.at(-2)!.text).toMatch(/One code is left. Create new ones/);
    expect((await login(app.client())).body.methods).toEqual(['totp']);
  });

  it('also reauthenticates, and new ones void the old', async () => {
    const me = await loggedIn(app, { email });
    const { recoveryCodes } = await enrol(app, me);
    clock.advance(6 * MINUTE);
    await reauthenticate(me, { code: recoveryCodes[0] });
    const renewed = await me.post('/v1/auth/mfa/recovery-codes');
    expect(renewed.body.recoveryCodes).toHaveLength(10);
    const client = app.client();
    const challenge = await challengeOf(client);
    expect(await complete(client, challenge, recoveryCodes[1]!)).toMatchObject(REFUSED);
    expect((await complete(client, challenge, renewed.body.recoveryCodes[1])).status).toBe(200);
    expect(await subjects()).toContain('You have new recovery codes');
  });

  it('exists only for users with a factor', async () => {
    const me = await loggedIn(app, { email });
    expect((await me.post('/v1/auth/mfa/recovery-codes')).status).toBe(409);
    expect(await me.post('/v1/auth/reauthenticate', { code: '000000' })).toMatchObject(REFUSED);
  });
});

describe('a session with a second factor', () => {
  it('becomes fresh again by the password or by a code, but changes factors only by a code', async () => {
    const me = await loggedIn(app, { email });
    const { phone } = await enrol(app, me);
    clock.advance(6 * MINUTE);
    await reauthenticate(me, { password: PASSWORD });
    expect((await me.post('/v1/auth/email/change', { email: 'new@example.com' })).status).toBe(202);
    const refused = await me.delete('/v1/auth/mfa/totp');
    expect(refused).toMatchObject({
      status: 401,
      body: { code: 'auth.reauthentication_required', maxAuthAge: 300, bySecondFactor: true },
    });
    expect(refused.headers['www-authenticate']).toMatch(/insufficient_user_authentication/);
    expect((await me.post('/v1/auth/mfa/totp')).status).toBe(401);
    expect((await me.post('/v1/auth/mfa/recovery-codes')).status).toBe(401);
    await reauthenticate(me, { code: phone.nextCode() });
    expect((await me.delete('/v1/auth/mfa/totp')).status).toBe(204);
  });

  it.each([{}, { password: PASSWORD, code: '123456' }, { code: '' }])(
    'reauthenticates by exactly one proof: %j',
    async (proof) => {
      const me = await loggedIn(app, { email });
      expect((await me.post('/v1/auth/reauthenticate', proof)).status).toBe(400);
    },
  );

  it('that removes it ends the other sessions, needs it no more, and its owner gets a mail [SES-12]', async () => {
    const me = await loggedIn(app, { email });
    const { phone } = await enrol(app, me);
    const elsewhere = app.client();
    await complete(elsewhere, await challengeOf(elsewhere), phone.nextCode());
    await mailbox.collect();
    expect((await me.delete('/v1/auth/mfa/totp')).status).toBe(204);
    expect((await elsewhere.get('/v1/sessions/current')).body.reason).toBe('mfa_change');
    expect((await me.get('/v1/sessions/current')).body.secondFactorAt).toBeUndefined();
    expect((await me.get('/v1/auth/mfa')).body).toMatchObject({ totp: null, recoveryCodesLeft: 0 });
    expect((await login(app.client())).body.accessToken).toBeDefined();
    expect(await subjects()).toEqual(['A second factor was removed']);
    expect((await me.delete('/v1/auth/mfa/totp')).status).toBe(404);
  });

  it('keeps its proof through a refresh, and a password reset does not skip the factor [RST-04]', async () => {
    const me = await loggedIn(app, { email });
    const { phone } = await enrol(app, me);
    const before = (await me.get('/v1/sessions/current')).body.secondFactorAt;
    clock.advance(MINUTE);
    expect((await me.refresh()).body.session.secondFactorAt).toBe(before);
    await mailbox.collect();
    await app.client().post('/v1/auth/password/forgot', { email });
    const token = await mailbox.tokenFor(email);
    await app.client().post('/v1/auth/password/reset', { token, newPassword: NEW_PASSWORD });
    const client = app.client();
    const answer = await login(client, NEW_PASSWORD);
    expect(answer.body.status).toBe('mfa_required');
    expect((await complete(client, answer.body.challengeToken, phone.nextCode())).status).toBe(200);
  });
});

describe('an admin', () => {
  it('removes the factors of a user who has lost them all, which ends the sessions of the user and causes a mail', async () => {
    const me = await loggedIn(app, { email });
    await enrol(app, me);
    await mailbox.collect();
    const admin = await loggedIn(app, ADMIN);
    const answer = await admin.delete(`/v1/admin/users/${me.userId}/mfa`);
    expect(answer).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 1 } });
    expect(await sessionTier(other, me)).toBe('mfa_change');
    expect((await login(app.client())).body.accessToken).toBeDefined();
    expect(await subjects()).toEqual(['Your second factors were removed']);
    const [event] = await app.query('select * from audit_events where type = $1 and user_id = $2', [
      'authn_second_factor_reset',
      me.userId,
    ]);
    expect(event).toMatchObject({ actor_id: ADMIN.id });
    expect((await admin.delete(`/v1/admin/users/${me.userId}/mfa`)).status).toBe(404);
  });

  it('removes no own factors this way, which needs the own factor', async () => {
    const admin = await loggedIn(app, ADMIN);
    expect((await admin.delete(`/v1/admin/users/${ADMIN.id}/mfa`)).status).toBe(409);
  });

  it('needs a fresh session and the admin role', async () => {
    const me = await loggedIn(app, { email });
    expect((await me.delete(`/v1/admin/users/${me.userId}/mfa`)).status).toBe(403);
    const admin = await loggedIn(app, ADMIN);
    clock.advance(6 * MINUTE);
    expect((await admin.delete(`/v1/admin/users/${me.userId}/mfa`)).body.code).toBe(
      'auth.reauthentication_required',
    );
  });
});

describe('with ADMIN_MFA=required', () => {
  let strict: TestApp;
  const REQUIRED = { status: 403, body: { code: 'auth.second_factor_required' } };

  beforeAll(async () => {
    strict = await startApp({ clock, env: { ADMIN_MFA: 'required' } });
  });
  afterAll(() => strict?.close());

  const rolesOf = (token: string) => read(token).claims['roles'];

  it('an admin without a factor can enrol one, and use no other route with a session check [AUT-12]', async () => {
    email = await newUser(['user', 'admin']);
    const me = await loggedIn(strict, { email });
    expect(rolesOf(me.accessToken!)).toEqual(['user']);
    for (const path of [
      '/v1/users/me',
      '/v1/sessions',
      '/v1/sessions/current',
      '/v1/probe/payments',
      '/v1/admin/users',
    ])
      expect(await me.get(path)).toMatchObject(REQUIRED);
    expect(await me.delete('/v1/users/me')).toMatchObject(REQUIRED);
    expect(await me.delete('/v1/auth/mfa/totp')).toMatchObject(REQUIRED);
    expect((await me.get('/v1/auth/mfa')).body).toMatchObject({ required: true, totp: null });
    expect((await me.get('/v1/probe/flags')).status).toBe(200);
    expect((await me.refresh()).status).toBe(200);
    expect(rolesOf(me.accessToken!)).toEqual(['user']);
    await reauthenticate(me, { password: PASSWORD });
    await enrol(strict, me);
    expect((await me.get('/v1/admin/users')).status).toBe(200);
    await me.refresh();
    expect(rolesOf(me.accessToken!)).toEqual(['user', 'admin']);
  });

  it('a browser gets a token with the admin role from the enrolment itself', async () => {
    email = await newUser(['user', 'admin']);
    const me = await loggedIn(strict, { email }, 'cookie');
    await enrol(strict, me);
    expect((await me.get('/v1/auth/whoami')).body.roles).toEqual(['user', 'admin']);
    expect((await me.get('/v1/admin/users')).status).toBe(200);
  });

  it('an admin with a factor has access after using it, and loses access by removing it', async () => {
    email = await newUser(['user', 'admin']);
    const { phone } = await enrol(strict, await loggedIn(strict, { email }));
    const me = strict.client();
    await complete(me, await challengeOf(me), phone.nextCode());
    expect(rolesOf(me.accessToken!)).toEqual(['user', 'admin']);
    expect((await me.get('/v1/admin/users')).status).toBe(200);
    expect((await me.delete('/v1/auth/mfa/totp')).status).toBe(204);
    expect(await me.get('/v1/admin/users')).toMatchObject(REQUIRED);
  });

  it('a new admin needs a factor on the next request, on every instance', async () => {
    const admin = await loggedIn(app, ADMIN);
    const me = await loggedIn(strict, { email });
    expect((await me.get('/v1/users/me')).status).toBe(200);
    const promoted = await admin.put(`/v1/admin/users/${me.userId}/roles`, { roles: ['user', 'admin'] });
    expect(promoted.status).toBe(200);
    expect(await me.get('/v1/users/me')).toMatchObject(REQUIRED);
    await enrol(strict, me);
    expect((await me.get('/v1/users/me')).status).toBe(200);
  });

  it('a logout needs no factor', async () => {
    email = await newUser(['user', 'admin']);
    const me = await loggedIn(strict, { email }, 'cookie');
    expect((await me.post('/v1/auth/logout')).status).toBe(204);
    expect(me.jar.has(COOKIES.access)).toBe(false);
  });
});

describe('the secret of an authenticator app', () => {
  const encryption = TEST_KEYS.encryption;

  it('is encrypted again once a new key is active, so that nothing depends on the old key', async () => {
    const me = await loggedIn(app, { email });
    const { phone } = await enrol(app, me);
    const keyOf = async (userId: string) =>
      (
        await app.query<{ key_id: string }>('select key_id from totp_factors where user_id = $1', [userId])
      )[0]!.key_id;
    expect(await keyOf(me.userId)).toBe('test-key');
    const unreadable = await loggedIn(app, { email: await newUser() });
    await enrol(app, unreadable);
    await app.query(`update totp_factors set key_id = 'lost' where user_id = $1`, [unreadable.userId]);

    const newer = { id: 'newer', key: Buffer.alloc(32, 7) };
    const rotated = await startApp({ clock, keys: { ...TEST_KEYS, encryption: [newer, ...encryption] } });
    expect(await rotated.get(SecretReencryptionJob).run()).toBeGreaterThan(0);
    expect(await rotated.get(SecretReencryptionJob).run()).toBe(0);
    expect(await Promise.all([me, unreadable].map(({ userId }) => keyOf(userId)))).toEqual(['newer', 'lost']);
    await rotated.close();

    const alone = await startApp({ clock, keys: { ...TEST_KEYS, encryption: [newer] } });
    const client = alone.client();
    expect((await complete(client, await challengeOf(client), phone.nextCode())).status).toBe(200);
    await alone.close();
  });

  it('is bound to its user', async () => {
    const [victim, thief] = [
      await loggedIn(app, { email }),
      await loggedIn(app, { email: (email = await newUser()) }),
    ];
    await enrol(app, victim);
    const { phone } = await enrol(app, thief);
    await app.query(
      `update totp_factors v set secret = t.secret from totp_factors t where v.user_id = $1 and t.user_id = $2`,
      [victim.userId, thief.userId],
    );
    const [{ email: address }] = (await app.query<{ email: string }>(
      'select email from users where id = $1',
      [victim.userId],
    )) as [{ email: string }];
    email = address;
    const client = app.client();
    expect((await complete(client, await challengeOf(client), phone.nextCode())).status).toBe(503);
  });
});

describe('wrong codes', () => {
  it('are throttled, and then a right one is not checked either', async () => {
    const limited = await startApp({ clock, env: { RATE_LIMITS: 'on', CACHE_BUDGET: '1s' } });
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    const me = limited.client();
    const challenge = await challengeOf(me);
    for (let guess = 0; guess < 10; guess += 1)
      expect(await complete(me, challenge, phone.code(5 + guess))).toMatchObject(REFUSED);
    expect((await complete(me, challenge, phone.code(1))).status).toBe(429);
    clock.advance(30_000);
    expect((await complete(me, challenge, phone.code())).status).toBe(200);
    await limited.close();
  });
});
