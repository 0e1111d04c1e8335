import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ADVISORY_LOCKS } from '../../src/platform/persistence/advisory-locks.js';
import { AccountJobQueue } from '../../src/auth/registration/account-job-queue.js';
import { ADMIN, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { Authenticator } from '../../test/support/authenticator.js';
import type { Answer, Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { linksIn, Mailbox } from '../../test/support/mailbox.js';
import {
  enrolPasskey,
  keepTokens,
  ORIGIN,
  PASSKEY_ENV,
  PASSKEY_LOGIN,
  PASSKEY_STEP_UP,
  PASSKEYS,
  passkeyLogin,
} from '../../test/support/passkeys.js';
import { loggedIn, createUser, type TestUser } from '../../test/support/test-users.js';
import { AuthenticatorApp, complete, enrol } from '../../test/support/second-factor.js';
import { connect, disconnect, untilBlocked } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, the cache, the hasher. Simulated: the mail server and the proxy that names countries.
 *
 * An attacker has the password (or a copy of a session), requests an action that takes effect later, and loses the
 * session. The tests combine each kind of pending action with each way in which sessions end.
 */

const MINUTE = 60_000;
const DAY = 86_400_000;
const NEW_PASSWORD = 'the kettle sings at noon';
const BAD_TOKEN = { status: 400, body: { code: 'request.invalid', errors: [{ path: 'token' }] } };

let clock: TestClock;
let app: TestApp;
let mailbox: Mailbox;
let email: string;
let count = 0;

beforeAll(async () => {
  await resetStores();
  clock = new TestClock();
  const env = {
    ...PASSKEY_ENV,
    EMAIL_VERIFICATION: 'required',
    SESSION_LIMIT: '4',
    TRUSTED_PROXIES: '127.0.0.1',
    COUNTRY_HEADER: 'X-Country',
    SUSPICION_COUNTRY: 'end',
  };
  app = await startApp({ clock, env });
  mailbox = new Mailbox(app);
});
afterAll(() => app.close());
afterEach(disconnect);
beforeEach(async () => void ({ email } = await createUser(app)));

const begin = (headers: Record<string, string> = { 'x-country': 'AT' }): Promise<TestUser> =>
  loggedIn({ client: () => Object.assign(app.client(), { headers }) }, { email });
const admin = () => loggedIn(app, ADMIN);
const newAddress = () => `thief${(count += 1)}@elsewhere.example`;
const succeeds = async (answer: Promise<Answer>, status = 204) => expect((await answer).status).toBe(status);
const verify = (token: string) => app.client().post('/v1/auth/email/verify', { token });
const resetWith = (token: string) =>
  app.client().post('/v1/auth/password/reset', { token, newPassword: 'a password of an attacker' });
const currentAddress = async (userId: string) =>
  (await app.query<{ email: string }>('select email from users where id = $1', [userId]))[0]!.email;
const EMAIL_CHANGE_REQUESTED = 'A change of your e-mail address was requested';
const linksTo = async (address: string) =>
  (await mailbox.collect()).filter(({ to }) => to === address).flatMap(({ text }) => linksIn(text));

interface Scene {
  owner: TestUser;
  /** Requests the pending action. */
  thief: TestUser;
}

/** Ends the attacker's session, or all sessions of the user. */
type Ending = (scene: Scene) => Promise<unknown>;

const banAndLift: Ending = async ({ owner }) => {
  const by = await admin();
  await succeeds(by.post(`/v1/admin/users/${owner.userId}/ban`, { reason: 'x' }), 200);
  await succeeds(by.delete(`/v1/admin/users/${owner.userId}/ban`), 200);
};
const resetPassword: Ending = async () => {
  clock.advance(1_000);
  await succeeds(app.client().post('/v1/auth/password/forgot', { email }), 202);
  const token = await mailbox.newestTokenFor(email);
  await succeeds(app.client().post('/v1/auth/password/reset', { token, newPassword: NEW_PASSWORD }));
};

/** Endings that void requests without a session, too. */
const ENDINGS_OF_THE_USER: Record<string, Ending> = {
  'the owner has ended all sessions': ({ owner }) => succeeds(owner.delete('/v1/sessions'), 200),
  'the owner has ended all other sessions': ({ owner }) =>
    succeeds(owner.delete('/v1/sessions?except=current'), 200),
  'an admin has ended all sessions of the user': async ({ owner }) =>
    succeeds((await admin()).delete(`/v1/admin/users/${owner.userId}/sessions`), 200),
  'an admin has ended all sessions of everyone': async () => {
    const { status } = await (await admin()).delete('/v1/admin/sessions', { body: { confirm: 'everyone' } });
    expect([200, 202]).toContain(status);
  },
  'the user was banned and the ban was lifted': banAndLift,
  'the owner has changed the password': ({ owner }) =>
    succeeds(
      owner.post('/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
    ),
  'the owner has reset the password': resetPassword,
  'the owner has enrolled an authenticator app': ({ owner }) => enrol(app, owner),
  'the owner has added a passkey': async ({ owner }) =>
    expect((await enrolPasskey(owner, new Authenticator(ORIGIN))).status).toBe(201),
  'the account has been deleted': ({ owner }) => succeeds(owner.delete('/v1/users/me')),
};

/** Endings of one session: requests of other sessions stay valid. */
const ENDINGS_OF_A_SESSION: Record<string, Ending> = {
  'it has logged out': ({ thief }) => succeeds(thief.post('/v1/auth/logout')),
  'the owner has ended it': ({ owner, thief }) => succeeds(owner.delete(`/v1/sessions/${thief.id}`), 200),
  'the owner has ended the sessions of its device': ({ owner, thief }) =>
    succeeds(owner.delete(`/v1/devices/${thief.deviceId}/sessions`), 200),
  'an admin has ended it': async ({ thief }) =>
    succeeds((await admin()).delete(`/v1/admin/sessions/${thief.id}`), 200),
  'the limit of sessions has evicted it': async () => {
    for (let logins = 0; logins < 4; logins += 1) await begin();
  },
  'its refresh token was used twice': async ({ thief }) => {
    const copy = thief.copy();
    await succeeds(thief.refresh(), 200);
    copy.deviceToken = undefined;
    expect((await copy.refresh()).body).toMatchObject({ reason: 'refresh_reuse' });
  },
  'it looked suspicious': async ({ thief }) => {
    thief.headers = { 'x-country': 'NZ' };
    expect((await thief.get('/v1/sessions/current')).body).toMatchObject({ reason: 'suspicious' });
  },
};

const ENDINGS = Object.entries({ ...ENDINGS_OF_THE_USER, ...ENDINGS_OF_A_SESSION });

describe('a change of address that a session has requested', () => {
  const ask = async (client: Client) => {
    const to = newAddress();
    await succeeds(client.post('/v1/auth/email/change', { email: to }), 202);
    return to;
  };
  const scene = async (): Promise<Scene> => {
    const thief = await begin();
    return { owner: await begin(), thief };
  };

  it('takes effect while that session lives', async () => {
    const { owner, thief } = await scene();
    const to = await ask(owner);
    const token = await mailbox.tokenFor(to);
    await succeeds(thief.post('/v1/auth/logout'));
    await succeeds(owner.refresh(), 200);
    await succeeds(verify(token));
    expect(await currentAddress(owner.userId)).toBe(to);
  });

  it('stays valid when the same session has ended all others, or has reauthenticated', async () => {
    const { owner } = await scene();
    const to = await ask(owner);
    const token = await mailbox.tokenFor(to);
    await succeeds(owner.delete('/v1/sessions?except=current'), 200);
    await succeeds(owner.reauthenticate({ password: PASSWORD }), 200);
    await succeeds(verify(token));
    expect(await currentAddress(owner.userId)).toBe(to);
  });

  it('stays valid at the end of another session, and can be requested again after the end of its own', async () => {
    const { owner, thief } = await scene();
    await ask(thief);
    await banAndLift({ owner, thief });
    await mailbox.collect();
    const to = await ask(await begin());
    await succeeds(verify(await mailbox.tokenFor(to)));
  });

  it.each(ENDINGS)('is void although its link was sent, once %s', async (_, end) => {
    const { owner, thief } = await scene();
    const token = await mailbox.tokenFor(await ask(thief));
    await end({ owner, thief });
    const before = await currentAddress(owner.userId);
    expect(await verify(token)).toMatchObject(BAD_TOKEN);
    expect(await currentAddress(owner.userId)).toBe(before);
  });

  it.each(ENDINGS)('is not mailed once %s: the job was waiting', async (_, end) => {
    const { owner, thief } = await scene();
    const to = await ask(thief);
    await end({ owner, thief });
    const mails = await mailbox.collect();
    // Neither is the old address told of a change that cannot happen any more.
    const ofChange = mails.filter((mail) => mail.to === to || mail.subject === EMAIL_CHANGE_REQUESTED);
    expect(ofChange.map(({ subject }) => subject)).toEqual([]);
  });

  it.each(ENDINGS)('is not mailed once %s: the mail was waiting', async (_, end) => {
    const { owner, thief } = await scene();
    const to = await ask(thief);
    await app.get(AccountJobQueue).run();
    await end({ owner, thief });
    expect(await linksTo(to)).toEqual([]);
    expect(await app.query('select from mails where recipient = $1', [to])).toEqual([]);
  });

  it.each<[string, Ending]>([
    ['password', ENDINGS_OF_THE_USER['the owner has changed the password']!],
    ['authenticator app', ENDINGS_OF_THE_USER['the owner has enrolled an authenticator app']!],
    ['passkey', ENDINGS_OF_THE_USER['the owner has added a passkey']!],
  ])(
    'is void once the same session has a new %s, because a copy of the session may have requested it',
    async (_, end) => {
      const owner = await begin();
      const token = await mailbox.tokenFor(await ask(owner.copy()));
      await end({ owner, thief: owner });
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
    },
  );

  it.each([
    ['idle for too long', 30 * DAY + MINUTE],
    ['too old', 91 * DAY],
  ])('is void once that session is %s', async (_, age) => {
    const me = await begin();
    const token = await mailbox.tokenFor(await ask(me));
    await app.query(
      `update mailed_tokens set expires_at = expires_at + interval '1 year' where user_id = $1`,
      [me.userId],
    );
    clock.advance(age);
    expect(await verify(token)).toMatchObject(BAD_TOKEN);
  });

  it('is void once the record of that session is deleted', async () => {
    const me = await begin();
    const token = await mailbox.tokenFor(await ask(me));
    await app.query('delete from sessions where id = $1', [me.id]);
    expect(await verify(token)).toMatchObject(BAD_TOKEN);
  });

  describe('when its link is followed at the moment of a force-logout', () => {
    const both = async (first: () => Promise<Answer>, second: () => Promise<Answer>, lock: string) => {
      const outside = await connect();
      await outside.query('begin');
      await outside.query(lock);
      const answers = [first()];
      await untilBlocked(app, 1);
      answers.push(second());
      await untilBlocked(app, 2);
      await outside.query('commit');
      return Promise.all(answers);
    };
    const lockUser = (userId: string) => `select from users where id = '${userId}' for no key update`;
    const prepared = async () => {
      const thief = await begin();
      const token = await mailbox.tokenFor(await ask(thief));
      return { thief, token, by: await admin(), before: await currentAddress(thief.userId) };
    };

    it('is void when the force-logout comes first', async () => {
      const { thief, token, by, before } = await prepared();
      const end = () => by.delete(`/v1/admin/users/${thief.userId}/sessions`);
      const [ended, verified] = await both(end, () => verify(token), lockUser(thief.userId));
      expect(ended!.status).toBe(200);
      expect(verified).toMatchObject(BAD_TOKEN);
      expect(await currentAddress(thief.userId)).toBe(before);
    });

    it('has taken effect when the link comes first', async () => {
      const { thief, token, by, before } = await prepared();
      const end = () => by.delete(`/v1/admin/users/${thief.userId}/sessions`);
      const [verified, ended] = await both(() => verify(token), end, lockUser(thief.userId));
      expect([verified!.status, ended!.status]).toEqual([204, 200]);
      expect(await currentAddress(thief.userId)).not.toBe(before);
    });

    it('is void when a global logout comes first', async () => {
      const { thief, token, by, before } = await prepared();
      const end = () => by.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } });
      const lock = `select pg_advisory_xact_lock_shared(${ADVISORY_LOCKS.sessionEpoch})`;
      const [, verified] = await both(end, () => verify(token), lock);
      expect(verified).toMatchObject(BAD_TOKEN);
      expect(await currentAddress(thief.userId)).toBe(before);
    });
  });

  it('is not requested with tokens that a password change has just replaced', async () => {
    const owner = await loggedIn(app, { email }, 'cookie');
    const thief = owner.copy();
    const to = newAddress();
    const outside = await connect();
    await outside.query('begin');
    await outside.query(`select from users where id = $1 for no key update`, [owner.userId]);
    const changed = owner.post('/v1/auth/password/change', {
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    await untilBlocked(app, 1);
    const asked = thief.post('/v1/auth/email/change', { email: to });
    await untilBlocked(app, 2);
    await outside.query('commit');
    expect((await changed).status).toBe(204);
    expect((await asked).status).toBe(401);
    expect(await linksTo(to)).toEqual([]);
  });
});

describe('a link to reset the password', () => {
  const forgot = () => app.client().post('/v1/auth/password/forgot', { email });
  const scene = async (): Promise<Scene> => ({ owner: await begin(), thief: await begin() });
  const userEndings = Object.entries(ENDINGS_OF_THE_USER);

  it.each(userEndings)('is void although it was sent, once %s', async (_, end) => {
    const { owner, thief } = await scene();
    await forgot();
    const token = await mailbox.tokenFor(email);
    await end({ owner, thief });
    expect(await resetWith(token)).toMatchObject(BAD_TOKEN);
  });

  it.each(userEndings)('is not mailed once %s: the job was waiting', async (name, end) => {
    const { owner, thief } = await scene();
    await forgot();
    await end({ owner, thief });
    // A reset needs a link of its own, which has finished the waiting job.
    if (name !== 'the owner has reset the password') expect(await linksTo(email)).toEqual([]);
  });

  it.each(userEndings)('is not mailed once %s: the mail was waiting', async (name, end) => {
    const { owner, thief } = await scene();
    await forgot();
    await app.get(AccountJobQueue).run();
    await end({ owner, thief });
    if (name !== 'the owner has reset the password') expect(await linksTo(email)).toEqual([]);
  });

  it.each(Object.entries(ENDINGS_OF_A_SESSION))(
    'is good although %s, because no session has requested it',
    async (_, end) => {
      const { owner, thief } = await scene();
      await forgot();
      const token = await mailbox.tokenFor(email);
      await end({ owner: thief, thief: owner });
      await succeeds(resetWith(token));
    },
  );

  it.each(userEndings.filter(([name]) => !/deleted/.test(name)))(
    'that is requested afterwards is good, although %s',
    async (_, end) => {
      await end(await scene());
      await mailbox.collect();
      clock.advance(1_000);
      await forgot();
      await succeeds(resetWith(await mailbox.tokenFor(email)));
    },
  );
});

describe('the link that verifies a new account', () => {
  const register = (address: string) =>
    app.client().post('/v1/auth/register', { email: address, password: 'nine owls under a bridge' });
  const idOf = async (address: string) =>
    (await app.query<{ id: string }>('select id from users where email = $1', [address]))[0]!.id;
  const endings: [string, (userId: string) => Promise<unknown>][] = [
    [
      'an admin has ended all sessions of the user',
      async (userId) => succeeds((await admin()).delete(`/v1/admin/users/${userId}/sessions`), 200),
    ],
    [
      'an admin has ended all sessions of everyone',
      async () => (await admin()).delete('/v1/admin/sessions', { body: { confirm: 'everyone' } }),
    ],
    [
      'the user was banned and the ban was lifted',
      async (userId) => banAndLift({ owner: { userId } as TestUser, thief: { userId } as TestUser }),
    ],
  ];

  it.each(endings)('is void once %s; another registration sends another link', async (_, end) => {
    const address = newAddress();
    await register(address);
    const token = await mailbox.tokenFor(address);
    await end(await idOf(address));
    expect(await verify(token)).toMatchObject(BAD_TOKEN);
    clock.advance(MINUTE);
    await register(address);
    await succeeds(resetWith(await mailbox.tokenFor(address)));
  });

  it.each(endings)('is not mailed once %s', async (_, end) => {
    const address = newAddress();
    await register(address);
    await end(await idOf(address));
    expect(await linksTo(address)).toEqual([]);
    expect(await app.query('select from mailed_tokens where email = $1', [address])).toEqual([]);
  });

  it.each(endings)('is replaced, not repeated, once %s, if it sets a password', async (_, end) => {
    const address = newAddress();
    await register(address);
    await mailbox.collect();
    await register(address);
    const first = await mailbox.tokenFor(address);
    await end(await idOf(address));
    clock.advance(MINUTE + 1_000);
    await register(address);
    const second = await mailbox.tokenFor(address);
    expect(second).not.toBe(first);
    expect(await resetWith(first)).toMatchObject(BAD_TOKEN);
    await succeeds(resetWith(second));
  });
});

describe('a login that waits for its second factor', () => {
  const pending = async () => {
    const owner = await begin();
    const { phone } = await enrol(app, owner);
    const thief = Object.assign(app.client(), { headers: owner.headers });
    const { body } = await thief.login(email, PASSWORD, { transport: 'bearer' });
    expect(body.challengeToken).toEqual(expect.any(String));
    return { owner, phone, thief, challenge: body.challengeToken as string };
  };
  const { ['the owner has enrolled an authenticator app']: _enrol, ...others } = ENDINGS_OF_THE_USER;

  it.each([
    ...Object.entries(others),
    [
      'the owner has replaced the authenticator app',
      async ({ owner }: Scene) => {
        clock.advance(30_000);
        return enrol(app, owner);
      },
    ] as const,
  ])('has to start over once %s', async (_, end) => {
    const { owner, phone, thief, challenge } = await pending();
    await end({ owner, thief: owner });
    expect(await complete(thief, challenge, phone.nextCode())).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_token' },
    });
  });

  it('continues when one session has ended', async () => {
    const { owner, phone, thief, challenge } = await pending();
    await succeeds(owner.post('/v1/auth/logout'));
    expect((await complete(thief, challenge, phone.nextCode())).status).toBe(200);
  });
});

describe('an unsent passkey signature for a login', () => {
  const pending = async () => {
    const owner = await begin();
    const key = new Authenticator(ORIGIN);
    expect((await enrolPasskey(owner, key)).status).toBe(201);
    clock.advance(1_000);
    return { owner, key, signed: await passkeyLogin(app.client(), key) };
  };
  const { ['the account has been deleted']: _deleted, ...others } = ENDINGS_OF_THE_USER;

  it.each(Object.entries(others))('starts no session once %s', async (_, end) => {
    const { owner, signed } = await pending();
    clock.advance(1_000);
    await end({ owner, thief: owner });
    expect(await app.client().post(PASSKEY_LOGIN, signed)).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_credentials' },
    });
  });

  it('is good when one session has ended, and with a new challenge in any case', async () => {
    const { owner, key, signed } = await pending();
    await succeeds(owner.post('/v1/auth/logout'));
    await succeeds(app.client().post(PASSKEY_LOGIN, signed), 200);
    await banAndLift({ owner, thief: owner });
    clock.advance(1_000);
    await succeeds(app.client().post(PASSKEY_LOGIN, await passkeyLogin(app.client(), key)), 200);
  });
});

describe('a factor that a session has begun to enrol', () => {
  const kinds: [string, (session: TestUser) => Promise<() => Promise<Answer>>][] = [
    [
      'an authenticator app',
      async (session) => {
        const { body } = await session.post('/v1/auth/mfa/totp');
        const phone = new AuthenticatorApp(body.secret, clock);
        return () => session.post('/v1/auth/mfa/totp/confirm', { code: phone.code() });
      },
    ],
    [
      'a passkey',
      async (session) => {
        const options = await session.post(`${PASSKEYS}/options`);
        const response = new Authenticator(ORIGIN).create(options.body);
        return () => session.post(PASSKEYS, { response });
      },
    ],
  ];

  it.each(kinds.flatMap(([kind, start]) => ENDINGS.map(([name, end]) => [kind, name, start, end] as const)))(
    '(%s) is void once %s',
    async (_kind, _name, start, end) => {
      const thief = await begin();
      const owner = await begin();
      const confirm = await start(thief);
      await end({ owner, thief });
      expect((await confirm()).status).toBe(401);
      expect(await app.query('select from totp_factors where secret is null')).toEqual([]);
    },
  );

  it.each(kinds)('(%s) is void once the credentials have changed in the same session', async (_, start) => {
    const owner = await begin();
    const confirm = await start(owner);
    clock.advance(1_000);
    await ENDINGS_OF_THE_USER['the owner has changed the password']!({ owner, thief: owner });
    expect([400, 409]).toContain((await confirm()).status);
  });

  it.each(kinds)('(%s) is confirmed by that session, even if it has ended all others', async (_, start) => {
    const owner = await begin();
    const confirm = await start(owner);
    await succeeds(owner.delete('/v1/sessions?except=current'), 200);
    expect([200, 201]).toContain((await confirm()).status);
  });
});

describe('an unsent passkey signature for a step-up', () => {
  const pending = async () => {
    const owner = await begin();
    const key = new Authenticator(ORIGIN);
    expect((await enrolPasskey(owner, key)).status).toBe(201);
    clock.advance(1_000);
    const options = await owner.post(`${PASSKEY_STEP_UP}/options`);
    return { owner, answer: { response: key.get(options.body) } };
  };

  it('proves nothing once the credentials have changed in the same session', async () => {
    const { owner, answer } = await pending();
    clock.advance(1_000);
    expect((await enrolPasskey(owner, new Authenticator(ORIGIN))).status).toBe(201);
    expect((await owner.post(PASSKEY_STEP_UP, answer)).status).toBe(401);
  });

  it('is good when that session has ended all others', async () => {
    const { owner, answer } = await pending();
    await succeeds(owner.delete('/v1/sessions?except=current'), 200);
    keepTokens(owner, await owner.post(PASSKEY_STEP_UP, answer));
    await succeeds(owner.get('/v1/sessions/current'), 200);
  });
});
