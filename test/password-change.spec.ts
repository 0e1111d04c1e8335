import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PasswordsService } from '../src/auth/passwords/passwords.service.js';
import { CredentialChangeService } from '../src/sessions/refresh/credential-change.service.js';
import { StepUpService } from '../src/sessions/refresh/step-up.service.js';
import { holdBackgroundWork, ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { TestClock } from './support/clock.js';
import { Mailbox } from './support/mailbox.js';
import { expectBothTiers, keysDelivered, loggedIn, sessionTier } from './support/test-users.js';
import { connect, disconnect, eventually, untilBlocked } from './support/waiting.js';
import { COOKIES } from './support/cookies.js';

const NEW_PASSWORD = 'the kettle sings at noon';
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'password_change' } };
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const MINUTE = 60_000;

/** Real: PostgreSQL, the cache, two instances. Simulated: the mail server. */
describe('a user who changes the password', () => {
  let clock: TestClock;
  let app: TestApp;
  let other: TestApp;
  let mailbox: Mailbox;
  let email: string;
  let count = 0;

  beforeAll(async () => {
    await resetStores();
    clock = new TestClock();
    [app, other] = [await startApp({ clock }), await startApp({ clock })];
    holdBackgroundWork(other);
    mailbox = new Mailbox(app);
  });
  afterAll(() => Promise.all([app.close(), other.close()]));
  beforeEach(async () => {
    email = `someone${(count += 1)}@example.com`;
    await app.query(
      `insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), $1, password_hash, now() from users where id = $2`,
      [email, ALICE.id],
    );
    await mailbox.collect();
  });

  const change = (client: Client, newPassword = NEW_PASSWORD, currentPassword = PASSWORD) =>
    client.post('/v1/auth/password/change', { currentPassword, newPassword });
  const login = (password: string) => app.client().login(email, password, { transport: 'bearer' });

  it('logs in with the new one only from then on', async () => {
    const me = await loggedIn(app, { email });
    const answer = await change(me);
    expect(answer).toMatchObject({ status: 204, text: '', setCookies: [] });
    expect((await login(NEW_PASSWORD)).status).toBe(200);
    expect(await login(PASSWORD)).toMatchObject(REFUSED);
  });

  it('ends every other session, on every instance, on both tiers and for good; the session of the change continues [PWD-08, REF-09, SES-12]', async () => {
    const [me, laptop, phone] = [
      await loggedIn(app, { email }),
      await loggedIn(app, { email }, 'cookie'),
      await loggedIn(app, { email }),
    ];
    const stolen = laptop.copy();
    expect((await change(me)).status).toBe(204);
    for (const instance of [other, app]) {
      for (const ended of [phone, laptop]) {
        expect(await sessionTier(instance, ended)).toBe('password_change');
        await eventually(() => expectBothTiers(ended.at(instance), ENDED));
      }
      expect(await stolen.copy().at(instance).refresh()).toMatchObject(ENDED);
      expect((await me.at(instance).get('/v1/sessions/current')).body.id).toBe(me.id);
      expect((await me.get('/v1/probe/flags')).status).toBe(200);
    }
    expect((await me.get('/v1/sessions')).body.items).toEqual([expect.objectContaining({ id: me.id })]);
    const [row] = await app.query('select * from sessions where id = $1', [phone.id]);
    expect(row).toMatchObject({ end_reason: 'password_change', revocation_seq: expect.any(String) });
  });

  it('succeeds when a login replaces the old hash meanwhile, and so does a reauthentication', async () => {
    const me = await loggedIn(app, { email });
    const renewed = await app.get(PasswordsService).hash(PASSWORD);
    /** Before the check under the lock. */
    const renewBefore = <Service extends object, Name extends 'run' | 'rotateKeys'>(
      service: Service & Record<Name, (...given: never[]) => Promise<unknown>>,
      name: Name,
    ) => {
      const act = service[name].bind(service);
      const late = async (...given: never[]) => {
        await app.query('update users set password_hash = $2 where email = $1', [email, renewed]);
        return act(...given);
      };
      jest.spyOn(service, name as never).mockImplementationOnce(late as never);
    };
    renewBefore(app.get(StepUpService), 'rotateKeys');
    expect((await me.reauthenticate({ password: PASSWORD })).status).toBe(200);
    await app.query(
      `update users set password_hash = (select password_hash from users where id = $2) where email = $1`,
      [email, ALICE.id],
    );
    renewBefore(app.get(CredentialChangeService), 'run');
    expect((await change(me)).status).toBe(204);
    expect((await login(NEW_PASSWORD)).status).toBe(200);
  });

  it('gets one mail, and the change is recorded [LOG-01, PWD-08]', async () => {
    const me = await loggedIn(app, { email });
    await change(me);
    expect(await mailbox.collect()).toEqual([
      expect.objectContaining({ to: email, subject: 'Your password was changed' }),
    ]);
    const events = await app.query('select * from audit_events where user_id = $1 and type like $2', [
      me.userId,
      'authn_password%',
    ]);
    expect(events).toEqual([expect.objectContaining({ type: 'authn_password_change', actor_id: me.userId })]);
  });

  it('in a browser gets new cookies for the same session, and a copy of the old ones is void once the new ones are used', async () => {
    const me = await loggedIn(app, { email }, 'cookie');
    const thief = me.copy();
    const answer = await change(me);
    expect(answer).toMatchObject({ status: 204, text: '' });
    expect(answer.setCookies.map((cookie) => cookie.split('=')[0])).toEqual([
      COOKIES.access,
      COOKIES.refresh,
    ]);
    for (const name of [COOKIES.access, COOKIES.refresh]) {
      expect(me.jar.get(name)).not.toBe(thief.jar.get(name));
    }
    expect((await me.get('/v1/sessions/current')).body.id).toBe(me.id);
    await keysDelivered(app, { later: true });
    for (const instance of [other, app]) {
      // As with a used token: its holder has to refresh, which the thief cannot.
      const usedUp = { status: 401, body: { code: 'auth.token_expired' } };
      await eventually(() => expectBothTiers(thief.copy().at(instance), usedUp));
      expect(await thief.copy().at(instance).refresh()).toMatchObject({
        status: 401,
        body: { code: 'auth.invalid_token' },
      });
      expect((await me.at(instance).get('/v1/sessions/current')).body.id).toBe(me.id);
      expect((await me.refresh()).status).toBe(200);
    }
  });

  it('as a native client continues with the current tokens, because an answer without a body brings no others', async () => {
    const me = await loggedIn(app, { email });
    const before = { ...me };
    await change(me);
    expect(me.accessToken).toBe(before.accessToken);
    expect((await me.get('/v1/sessions/current')).status).toBe(200);
    expect((await me.refresh()).status).toBe(200);
    expect((await me.get('/v1/sessions/current')).body.id).toBe(me.id);
  });

  it('as a native client that reauthenticates next has a pair that no copy of the old one can follow', async () => {
    const me = await loggedIn(app, { email });
    const stolen = me.refreshToken;
    await change(me);
    const answer = await me.post('/v1/auth/reauthenticate', { password: NEW_PASSWORD });
    expect(answer).toMatchObject({ status: 200, body: { session: { id: me.id } } });
    expect(answer.body.refreshToken).not.toBe(stolen);
    expect(await other.client().post('/v1/auth/refresh', { refreshToken: stolen })).toMatchObject({
      body: { code: 'auth.session_ended', reason: 'refresh_reuse' },
    });
  });

  it.each(['cookie', 'bearer'] as const)('has just proved who they are (%s)', async (transport) => {
    const me = await loggedIn(app, { email }, transport);
    clock.advance(6 * MINUTE);
    expect((await me.delete('/v1/users/me')).body.code).toBe('auth.reauthentication_required');
    await change(me);
    expect((await me.delete('/v1/users/me')).status).toBe(204);
  });

  it('has to prove the old one [PWD-08]', async () => {
    const me = await loggedIn(app, { email });
    const elsewhere = await loggedIn(app, { email });
    expect(await change(me, NEW_PASSWORD, 'not the password of anybody')).toMatchObject(REFUSED);
    expect(await change(elsewhere, NEW_PASSWORD, NEW_PASSWORD)).toMatchObject(REFUSED);
    expect((await elsewhere.get('/v1/sessions/current')).status).toBe(200);
    expect((await login(PASSWORD)).status).toBe(200);
    expect(await mailbox.collect()).toEqual([]);
    const failures = await app.query(
      `select from audit_events where user_id = $1 and type = 'authn_password_change_fail'`,
      [me.userId],
    );
    expect(failures).toHaveLength(2);
  });

  it('changes nothing when the new one is refused', async () => {
    const me = await loggedIn(app, { email });
    const elsewhere = await loggedIn(app, { email });
    expect((await change(me, 'passwordpassword')).status).toBe(400);
    expect((await elsewhere.get('/v1/sessions/current')).status).toBe(200);
    expect((await login(PASSWORD)).status).toBe(200);
  });

  it.each([
    ['one session', async () => Array(2).fill(await loggedIn(app, { email })) as Client[]],
    ['two', async () => [await loggedIn(app, { email }), await loggedIn(other, { email })]],
  ])('twice at once, from %s, has changed it once', async (_from, clients) => {
    const passwords = ['the first of two new ones', 'the second of two new ones'];
    const changes = (await clients()).map((client, index) => change(client, passwords[index]!));
    const answers = await Promise.all(changes);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 401]);
    const statuses = await Promise.all(passwords.map(async (password) => (await login(password)).status));
    expect(statuses).toEqual(answers.map(({ status }) => (status === 204 ? 200 : 401)));
    expect(await mailbox.collect()).toHaveLength(1);
  });

  it('voids an earlier link for a reset', async () => {
    const me = await loggedIn(app, { email });
    await app.client().post('/v1/auth/password/forgot', { email });
    const token = await mailbox.tokenFor(email);
    await change(me);
    const reset = await app
      .client()
      .post('/v1/auth/password/reset', { token, newPassword: 'owned by a thief now' });
    expect(reset.status).toBe(400);
    expect((await login(NEW_PASSWORD)).status).toBe(200);
  });

  describe('while an attacker', () => {
    afterAll(disconnect);

    it('logs in with the old one: the login comes before and is ended, or after and is refused', async () => {
      for (let round = 0; round < 10; round += 1) {
        const [from, to] = round % 2 ? [NEW_PASSWORD, PASSWORD] : [PASSWORD, NEW_PASSWORD];
        // The seeds set the demo password; as a new one it is an ordinary password.
        const me = app.client();
        await me.login(email, from, { transport: 'bearer' });
        const [, ...thieves] = await Promise.all([
          change(me, to, from),
          ...Array.from({ length: 4 }, async () => {
            const thief = other.client();
            return { thief, status: (await thief.login(email, from, { transport: 'bearer' })).status };
          }),
        ]);
        for (const { thief, status } of thieves) {
          if (status === 200) expect(await thief.get('/v1/sessions/current')).toMatchObject(ENDED);
          else expect(status).toBe(401);
        }
      }
    });

    it('refreshes the same session with copied cookies: the new tokens are void afterwards', async () => {
      const me = await loggedIn(app, { email }, 'cookie');
      const thief = me.copy().at(other);
      const outside = await connect();
      await outside.query('begin');
      await outside.query('select from sessions where id = $1 for update', [me.id]);
      const refreshed = thief.refresh();
      await untilBlocked(app, 1);
      const changed = change(me);
      await untilBlocked(app, 2);
      await outside.query('commit');
      expect((await refreshed).status).toBe(200);
      expect((await changed).status).toBe(204);
      expect((await me.get('/v1/sessions/current')).body.id).toBe(me.id);
      await keysDelivered(app, { later: true });
      expect(await thief.copy().refresh()).toMatchObject({ body: { code: 'auth.invalid_token' } });
      expect((await me.refresh()).status).toBe(200);
    });
  });
});
