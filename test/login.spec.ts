import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { hash as argon2 } from '@node-rs/argon2';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { PasswordHasher } from '../src/auth/passwords/password-hasher.js';
import { Problem } from '../src/platform/api/problem.js';
import { SessionsService } from '../src/sessions/sessions.service.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { Gate } from './support/waiting.js';
import { COOKIES } from './support/cookies.js';

/** The real hasher with a counter. */
let hashing = 0;
let mostAtOnce = 0;
function counted(name: 'hash' | 'verify') {
  const work = PasswordHasher.prototype[name] as (...given: string[]) => Promise<string | boolean>;
  return jest.spyOn(PasswordHasher.prototype, name).mockImplementation(async function (
    this: PasswordHasher,
    ...given: string[]
  ) {
    mostAtOnce = Math.max(mostAtOnce, (hashing += 1));
    return work.apply(this, given).finally(() => (hashing -= 1)) as Promise<never>;
  });
}
const hash = counted('hash');
const verify = counted('verify');

const OURS = '$argon2id$v=19$m=19456,t=2,p=1$';
const MINUTE = 60_000;
const LONGEST = 'nine owls under a bridge, '.repeat(10).slice(0, 256);
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };

/** Everything that a caller can see of an answer, except the request id. */
function visible({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = body as Record<string, unknown>;
  return { status, headers: rest, body: said };
}

/** Real: PostgreSQL, the cache, the hasher. */
describe('accounts and logins', () => {
  let app: TestApp;
  let client: Client;
  let count = 0;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { SESSION_LIMIT: '1000' } });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    client = app.client();
    hash.mockClear();
    verify.mockClear();
  });

  const newEmail = () => `someone${(count += 1)}@example.com`;
  const register = (email: string, password = PASSWORD, more: object = {}) =>
    app.client().post('/v1/auth/register', { email, password, ...more });
  const storedHash = async (email: string) => {
    const [row] = await app.query<{ password_hash: string }>(
      'select password_hash from users where email = $1',
      [email],
    );
    return row!.password_hash;
  };
  const sessionOf = async (of: Client) => (await of.get('/v1/sessions/current')).body;

  describe('registration', () => {
    it('answers the same for a free address and a taken one, after the same work [AUT-09]', async () => {
      const free = await register(newEmail());
      const workForFree = hash.mock.calls.length;
      const taken = await register(ALICE.email, 'a password of someone else');
      expect(hash.mock.calls.length - workForFree).toBe(workForFree);
      expect(workForFree).toBe(1);
      expect(visible(taken)).toEqual(visible(free));
      expect(free).toMatchObject({ status: 202, body: { status: 'accepted' }, setCookies: [] });
      expect(Object.keys(free.body)).toEqual(['status']);
    });

    it('changes nothing for the owner of a taken address', async () => {
      // A job records later when the owner got the mail.
      const stored = async () => {
        const rows = await app.query('select * from users where email = $1', [ALICE.email]);
        return rows.map((row) => ({ ...row, registration_told_at: null }));
      };
      const before = await stored();
      await register(ALICE.email, 'a password of another person', { displayName: 'Mallory' });
      expect(await stored()).toEqual(before);
      expect(await client.login(ALICE.email, 'a password of another person')).toMatchObject(REFUSED);
    });

    it('of one address by many at once makes one account, and all get the same answer [AUT-09]', async () => {
      const email = newEmail();
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, index) => register(email, `${PASSWORD} ${index}`)),
      );
      expect(answers.map(visible)).toEqual(Array.from({ length: 6 }, () => visible(answers[0]!)));
      const rows = await app.query('select id from users where email = $1', [email]);
      expect(rows).toHaveLength(1);
      const logins = await Promise.all(
        answers.map((_, index) => app.client().login(email, `${PASSWORD} ${index}`)),
      );
      expect(logins.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401]);
    });

    it('knows an address in every spelling that reaches the same mailbox [AUT-09]', async () => {
      await register('Jose.Canon@Bu\u0308cher.example');
      await register('jose.canon@xn--bcher-kva.example', 'the second one is not made');
      const rows = await app.query(`select email from users where email like '%canon%'`);
      expect(rows).toEqual([{ email: 'jose.canon@xn--bcher-kva.example' }]);
      expect((await client.login('JOSE.CANON@B\u00dcCHER.EXAMPLE', PASSWORD)).status).toBe(200);
    });

    it.each([
      ['14 characters', 'owls in a tree', 400],
      ['15 characters, all the same kind', 'thekettlesingsx', 202],
      ['14 emoji, which are 28 code units', '🦊🐻🐼🦁🐯🐨🐸🐵🐔🐧🦆🦉🐺🐗', 400],
      ['15 emoji', '🦊🐻🐼🦁🐯🐨🐸🐵🐔🐧🦆🦉🐺🐗🐴', 202],
      ['spaces between words', 'four words and spaces', 202],
      ['15 letters that are 14 after normalisation', 'owls in a cafe\u0301', 400],
      ['256 characters', LONGEST, 202],
      ['257 characters', `${LONGEST}x`, 400],
      ['a NUL', 'a password with \0 in it', 400],
    ])(
      'counts the characters of a password as users perceive them: %s [AUT-08, PWD-01, PWD-02]',
      async (_what, password, status) => {
        const answer = await register(newEmail(), password);
        expect(answer.status).toBe(status);
        if (status === 400) {
          expect(answer.body.errors).toEqual([expect.objectContaining({ path: 'password' })]);
          expect(hash).not.toHaveBeenCalled();
        }
      },
    );

    it('stores argon2id with the parameters of OWASP, salted for each account [PWD-06, PWD-07]', async () => {
      const [one, other] = [newEmail(), newEmail()];
      await Promise.all([register(one), register(other)]);
      const hashes = [await storedHash(one), await storedHash(other)];
      const salts = hashes.map((phc) => {
        expect(phc.startsWith(OURS)).toBe(true);
        return Buffer.from(phc.split('$')[4]!, 'base64');
      });
      expect(salts[0]!.length).toBeGreaterThanOrEqual(16);
      expect(salts[0]).not.toEqual(salts[1]);
    });

    it('ignores roles in the request [ADM-03, AZ-02]', async () => {
      for (const more of [{ roles: ['admin'] }, { role: 'admin' }, { isAdmin: true }, { id: ADMIN.id }]) {
        expect((await register(newEmail(), PASSWORD, more)).status).toBe(400);
      }
      const email = newEmail();
      await register(email);
      expect((await client.login(email, PASSWORD)).body.user.roles).toEqual(['user']);
    });
  });

  describe('a login', () => {
    it('that fails looks the same for an unknown address, a wrong password, a banned and a deleted user [AUT-01]', async () => {
      const [banned, deleted] = [newEmail(), newEmail()];
      await Promise.all([register(banned), register(deleted)]);
      await app.query('update users set banned_at = now() where email = $1', [banned]);
      const gone = app.client();
      await gone.login(deleted, PASSWORD);
      expect((await gone.delete('/v1/users/me')).status).toBe(204);

      const wrong = await client.login(ALICE.email, 'this is not the password');
      expect(wrong).toMatchObject(REFUSED);
      expect(wrong.setCookies).toEqual([]);
      for (const [email, password] of [
        [newEmail(), PASSWORD],
        [banned, PASSWORD],
        [banned, 'this is not the password'],
        [deleted, PASSWORD],
        [ALICE.email, ''.padEnd(256, 'x')],
      ] as const) {
        expect(visible(await app.client().login(email, password))).toEqual(visible(wrong));
      }
    });

    it('costs the same hash whether or not the account exists [AUT-02]', async () => {
      const banned = newEmail();
      await register(banned);
      await app.query('update users set banned_at = now() where email = $1', [banned]);
      for (const email of [ALICE.email, newEmail(), banned]) {
        hash.mockClear();
        verify.mockClear();
        await client.login(email, 'this is not the password');
        expect(hash).not.toHaveBeenCalled();
        expect(verify.mock.calls).toEqual([[expect.stringContaining(OURS), 'this is not the password']]);
        expect(await verify.mock.results[0]!.value).toBe(false);
      }
    });

    it('accepts a password that was typed on another keyboard', async () => {
      const email = newEmail();
      await register(email, 'ﬁve Ｗｏｒｄｓ of cafe\u0301 talk');
      for (const spelling of ['five Words of caf\u00e9 talk', 'ﬁve Ｗｏｒｄｓ of cafe\u0301 talk']) {
        expect((await client.login(email, spelling)).status).toBe(200);
      }
      expect(await client.login(email, 'five words of caf\u00e9 talk')).toMatchObject(REFUSED);
      expect(await client.login(email, 'five Words of cafe talk')).toMatchObject(REFUSED);
    });

    it('never truncates a password: one that is too long is refused before any work [AUT-08, PWD-02]', async () => {
      const email = newEmail();
      await register(email, LONGEST);
      expect((await client.login(email, LONGEST)).status).toBe(200);
      for (const cut of [72, 128, 255]) {
        const tail = `${LONGEST.slice(0, cut)}${'y'.repeat(256 - cut)}`;
        expect(await client.login(email, tail)).toMatchObject(REFUSED);
        expect(await client.login(email, LONGEST.slice(0, cut))).toMatchObject(REFUSED);
      }
      verify.mockClear();
      expect((await client.login(email, 'x'.repeat(257))).status).toBe(400);
      expect(verify).not.toHaveBeenCalled();
    });

    it('replaces a weak old hash, and only after the right password [PWD-07]', async () => {
      const email = newEmail();
      await register(email);
      const weak = await argon2(PASSWORD, { memoryCost: 4_096, timeCost: 1, parallelism: 1 });
      await app.query('update users set password_hash = $2 where email = $1', [email, weak]);
      expect(await client.login(email, 'this is not the password')).toMatchObject(REFUSED);
      expect(await storedHash(email)).toBe(weak);

      expect((await client.login(email, PASSWORD)).status).toBe(200);
      const renewed = await storedHash(email);
      expect(renewed.startsWith(OURS)).toBe(true);
      expect((await app.client().login(email, PASSWORD)).status).toBe(200);
      expect(await storedHash(email)).toBe(renewed);
    });

    it('succeeds when another login replaces the weak hash meanwhile, or when the hash cannot be replaced now', async () => {
      const email = newEmail();
      await register(email);
      const weak = await argon2(PASSWORD, { memoryCost: 4_096, timeCost: 1, parallelism: 1 });
      const weaken = () => app.query('update users set password_hash = $2 where email = $1', [email, weak]);
      await weaken();
      const [looked, goOn] = [new Gate(), new Gate()];
      const sessions = app.get(SessionsService);
      const open = sessions.create.bind(sessions);
      jest.spyOn(sessions, 'create').mockImplementationOnce(async (...opening) => {
        looked.open();
        await goOn.opened;
        return open(...opening);
      });
      const slow = app.client().login(email, PASSWORD);
      await looked.opened;
      expect((await client.login(email, PASSWORD)).status).toBe(200);
      expect((await storedHash(email)).startsWith(OURS)).toBe(true);
      goOn.open();
      expect((await slow).status).toBe(200);

      await weaken();
      hash.mockImplementationOnce((() => Promise.reject(new Problem('auth.unavailable'))) as never);
      expect((await client.login(email, PASSWORD)).status).toBe(200);
      expect(await storedHash(email)).toBe(weak);
    });

    it('is refused, not broken, by an unreadable stored hash', async () => {
      const email = newEmail();
      await register(email);
      for (const broken of [
        '',
        'plain text',
        '$argon2id$v=19$m=19456,t=2,p=1$',
        '$2b$10$abcdefghijklmnopqrstuv',
      ]) {
        await app.query('update users set password_hash = $2 where email = $1', [email, broken]);
        expect(await client.login(email, PASSWORD)).toMatchObject(REFUSED);
        expect(await client.login(email, broken || 'x')).toMatchObject(REFUSED);
      }
    });

    it('begins a session of its own, whatever cookies the browser sends [SES-01]', async () => {
      const planted = { cookie: `${COOKIES.access}=planted; ${COOKIES.refresh}=planted; sid=planted` };
      const first = await client.post(
        '/v1/auth/login',
        { email: ALICE.email, password: PASSWORD },
        { headers: planted },
      );
      const second = await app.client().login(ALICE.email, PASSWORD);
      expect(first.status).toBe(200);
      expect(first.body.session.id).not.toBe(second.body.session.id);
      expect(first.setCookies.join()).not.toContain('planted');
    });

    it('replaces the session that the same cookie jar had [SES-01]', async () => {
      await client.login(ALICE.email, PASSWORD);
      const before = client.copy();
      const elsewhere = app.client();
      await elsewhere.login(ALICE.email, PASSWORD);
      await client.login(ALICE.email, PASSWORD);

      const ended = { status: 401, body: { code: 'auth.session_ended', reason: 'logout' } };
      expect(await before.copy().get('/v1/probe/flags')).toMatchObject(ended);
      expect(await before.copy().get('/v1/users/me')).toMatchObject(ended);
      expect(await before.copy().refresh()).toMatchObject(ended);
      expect((await client.get('/v1/users/me')).status).toBe(200);
      expect((await elsewhere.get('/v1/users/me')).status).toBe(200);
    });

    it('by another user in the same browser does not take over their session [SES-01]', async () => {
      const alice = await client.login(ALICE.email, PASSWORD);
      const bob = await client.login(BOB.email, PASSWORD);
      expect(bob.body.session.id).not.toBe(alice.body.session.id);
      expect(await client.get('/v1/users/me')).toMatchObject({ status: 200, body: { id: BOB.id } });
    });

    it.each(['cookie', 'bearer'])('recognises a known device (%s)', async (transport) => {
      const first = await client.login(ALICE.email, PASSWORD, { transport });
      const again = await client.login(ALICE.email, PASSWORD, { transport, deviceName: 'Kitchen tablet' });
      expect(again.body.session.device).toMatchObject({
        id: first.body.session.device.id,
        firstSeenAt: first.body.session.device.firstSeenAt,
        name: 'Kitchen tablet',
      });
      const other = await app.client().login(ALICE.email, PASSWORD, { transport });
      expect(other.body.session.device.id).not.toBe(first.body.session.device.id);
    });

    it('answers with the stored session, on a new device and on a known one', async () => {
      const email = newEmail();
      await register(email);
      for (const deviceName of ['My desk', undefined]) {
        const { body } = await client.login(email, PASSWORD, { transport: 'bearer', deviceName });
        expect(await sessionOf(client)).toEqual(body.session);
        expect(body.session.device.name).toBe('My desk');
      }
    });

    it('never adopts a device token that it did not issue, or that belongs to another user [SES-01]', async () => {
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      const device = (await sessionOf(client)).device;
      for (const foreign of [client.deviceToken!, 'A'.repeat(43), 'planted']) {
        const bob = app.client();
        bob.deviceToken = foreign;
        const answer = await bob.login(BOB.email, PASSWORD, { transport: 'bearer' });
        expect(answer.status).toBe(200);
        expect(answer.body.deviceToken).toMatch(/^[\w-]{43}$/);
        expect(answer.body.deviceToken).not.toBe(foreign);
        expect(answer.body.session.device.id).not.toBe(device.id);
      }
      expect((await sessionOf(client)).device).toEqual(device);
    });
  });

  describe('reauthentication', () => {
    const setRoles = (admin: Client) => admin.put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user'] });
    const reauthenticate = (of: Client, password = PASSWORD) =>
      of.post('/v1/auth/reauthenticate', { password });
    /** Reauthenticates and keeps the new tokens, as a native client does. */
    const freshen = async (of: Client) => {
      const answer = await reauthenticate(of);
      of.accessToken = answer.body.accessToken ?? of.accessToken;
      of.refreshToken = answer.body.refreshToken ?? of.refreshToken;
      return answer;
    };
    const REQUIRED = {
      status: 401,
      body: { code: 'auth.reauthentication_required', maxAuthAge: 300 },
      headers: {
        'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="300"',
      },
    };

    it.each(['cookie', 'bearer'])(
      'is required once the login is too long ago, and is sufficient (%s) [STP-01, STP-02, STP-04]',
      async (transport) => {
        await client.login(ADMIN.email, PASSWORD, { transport });
        app.clock.advance(4 * MINUTE);
        expect((await setRoles(client)).status).toBe(200);
        app.clock.advance(MINUTE);
        const before = await sessionOf(client); // the stale session is cached now
        expect(await setRoles(client)).toMatchObject(REQUIRED);
        expect((await client.get('/v1/admin/users')).status).toBe(200);

        const old = client.copy();
        const answer = await freshen(client);
        expect(answer).toMatchObject({ status: 200, body: { session: { id: before.id, current: true } } });
        expect(Date.parse(answer.body.session.authenticatedAt)).toBeGreaterThanOrEqual(
          Date.parse(before.authenticatedAt) + 5 * MINUTE,
        );
        expect((await sessionOf(client)).authenticatedAt).toBe(answer.body.session.authenticatedAt);
        expect((await setRoles(client)).status).toBe(200);
        // All earlier tokens are void.
        expect(await setRoles(old)).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
        const tokensOf = ({ jar, accessToken, refreshToken }: Client) =>
          transport === 'cookie'
            ? [jar.get(COOKIES.access), jar.get(COOKIES.refresh)]
            : [accessToken, refreshToken];
        expect(new Set([...tokensOf(client), ...tokensOf(old)]).size).toBe(4);
        expect((await client.refresh()).status).toBe(200);
        expect((await setRoles(client)).status).toBe(200);
      },
    );

    it('cannot be replaced by a refresh [REF-10, STP-03]', async () => {
      const login = await client.login(ADMIN.email, PASSWORD);
      app.clock.advance(5 * MINUTE);
      const refreshed = await client.refresh();
      expect(refreshed.status).toBe(200);
      expect(refreshed.body.session.authenticatedAt).toBe(login.body.session.authenticatedAt);
      expect(await setRoles(client)).toMatchObject(REQUIRED);
      expect(await setRoles(client)).toMatchObject(REQUIRED);
    });

    it('with a wrong password proves nothing, and changes nothing', async () => {
      await client.login(ADMIN.email, PASSWORD);
      app.clock.advance(5 * MINUTE);
      const answer = await reauthenticate(client, 'this is not the password');
      expect(answer).toMatchObject(REFUSED);
      expect(answer.setCookies).toEqual([]);
      expect(await setRoles(client)).toMatchObject(REQUIRED);
      expect((await client.get('/v1/users/me')).status).toBe(200);
    });

    it("accepts the caller's own password only", async () => {
      const email = newEmail();
      await register(email, 'a password of my own');
      await client.login(email, 'a password of my own');
      expect(await reauthenticate(client)).toMatchObject(REFUSED);
      expect((await reauthenticate(client, 'a password of my own')).status).toBe(200);
    });

    it('in one session does not freshen another of the same user [STP-01, STP-03]', async () => {
      const other = app.client();
      await client.login(ADMIN.email, PASSWORD);
      await other.login(ADMIN.email, PASSWORD);
      app.clock.advance(5 * MINUTE);
      await freshen(client);
      expect((await setRoles(client)).status).toBe(200);
      expect(await setRoles(other)).toMatchObject(REQUIRED);
    });

    it('is refused for a session that has ended, and for requests without one', async () => {
      await client.login(ALICE.email, PASSWORD);
      const thief = client.copy();
      await client.post('/v1/auth/logout');
      verify.mockClear();
      expect(await reauthenticate(thief)).toMatchObject({
        status: 401,
        body: { code: 'auth.session_ended' },
      });
      expect(await reauthenticate(client)).toMatchObject({
        status: 401,
        body: { code: 'auth.unauthenticated' },
      });
      expect(verify).not.toHaveBeenCalled();
    });
  });
});

/** Real: PostgreSQL, the cache, the hasher with a queue of one. */
describe('a flood of logins', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { PASSWORD_HASH_QUEUE: '1' } });
  });
  afterAll(() => app.close());

  it('is refused with Retry-After; no client is logged out, and other routes are unaffected [AUT-07]', async () => {
    const alice = app.client();
    await alice.login(ALICE.email, PASSWORD);
    mostAtOnce = 0;
    const burst = Array.from({ length: 12 }, (_, index) =>
      index % 3 === 0
        ? app.client().post('/v1/auth/register', { email: `flood${index}@example.com`, password: PASSWORD })
        : app.client().login(index % 3 === 1 ? BOB.email : 'unknown@example.com', 'this is not the password'),
    );
    const [flags, me, ...answers] = await Promise.all([
      alice.get('/v1/probe/flags'),
      alice.get('/v1/users/me'),
      ...burst,
    ]);
    expect([flags.status, me.status]).toEqual([200, 200]);

    const turnedAway = answers.filter(({ status }) => status === 503);
    const served = answers.filter(({ status }) => status !== 503);
    expect(turnedAway.length).toBeGreaterThan(0);
    expect(served.length).toBeGreaterThan(0);
    for (const { body, headers, setCookies } of turnedAway) {
      expect(body).toMatchObject({ status: 503, code: 'auth.unavailable' });
      expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
      expect(setCookies).toEqual([]);
    }
    for (const { status } of served) expect([202, 401]).toContain(status);
    expect(mostAtOnce).toBeGreaterThan(0);
    expect(mostAtOnce).toBeLessThanOrEqual(availableParallelism());

    expect((await app.client().login(BOB.email, PASSWORD)).status).toBe(200);
    expect((await alice.get('/v1/users/me')).status).toBe(200);
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('runs at a lower priority than the event loop: the hashing threads yield to serving', async () => {
    const hashing = app.client().login(BOB.email, PASSWORD);
    const nice = () =>
      readdirSync('/proc/self/task').map((thread) => Number(statOf(thread).split(') ')[1]!.split(' ')[16]));
    const statOf = (thread: string) => readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
    expect((await hashing).status).toBe(200);
    const usual = Number(statOf(`${process.pid}`).split(') ')[1]!.split(' ')[16]);
    expect(Math.max(...nice())).toBe(Math.min(19, usual + 10));
  });

  it('keeps the session of a user who reauthenticates meanwhile', async () => {
    const alice = app.client();
    await alice.login(ALICE.email, PASSWORD);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        alice.copy().post('/v1/auth/reauthenticate', { password: 'a wrong one it is' }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 503]));
    expect((await alice.get('/v1/users/me')).status).toBe(200);
  });
});
