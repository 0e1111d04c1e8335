import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { holdBackgroundWork, ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer } from './support/client.js';
import { TestClock } from './support/clock.js';
import { linksIn, Mailbox } from './support/mailbox.js';
import { expectBothTiers, loggedIn, sessionTier } from './support/test-users.js';
import { connect, disconnect, eventually, untilBlocked } from './support/waiting.js';

const NEW_PASSWORD = 'the kettle sings at noon';
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'password_reset' } };
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const BAD_TOKEN = {
  status: 400,
  body: {
    code: 'request.invalid',
    errors: [{ path: 'token', message: expect.stringMatching(/is invalid or has expired/) }],
  },
};
const MINUTE = 60_000;

/** Real: PostgreSQL, the cache, two instances. Simulated: the mail server. */
describe('a password reset', () => {
  let clock: TestClock;
  let app: TestApp;
  let other: TestApp;
  let mailbox: Mailbox;
  let email: string;
  let count = 0;

  beforeAll(async () => {
    await resetStores();
    clock = new TestClock();
    const env = { APP_URL: 'https://app.example.com/account/' };
    [app, other] = [await startApp({ clock, env }), await startApp({ clock, env })];
    holdBackgroundWork(other);
    mailbox = new Mailbox(app);
  });
  afterAll(async () => {
    await disconnect();
    await Promise.all([app.close(), other.close()]);
  });
  beforeEach(async () => {
    email = `someone${(count += 1)}@example.com`;
    await app.query(
      `insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), $1, password_hash, now() from users where id = $2`,
      [email, ALICE.id],
    );
    await mailbox.collect();
  });

  const forgot = (address = email, headers: Record<string, string> = {}) =>
    app.client().post('/v1/auth/password/forgot', { email: address }, { headers });
  const reset = (token: string, newPassword = NEW_PASSWORD, at = app) =>
    at.client().post('/v1/auth/password/reset', { token, newPassword });
  const mailedToken = async () => {
    await forgot();
    return mailbox.tokenFor(email);
  };
  const login = (password: string) => app.client().login(email, password, { transport: 'bearer' });

  it('answers a request in one way, whether or not the address is registered [RST-01]', async () => {
    const banned = 'banned@example.com';
    await app.query(
      `insert into users (id, email, password_hash, banned_at, created_at)
       values (gen_random_uuid(), $1, 'x', now(), now())`,
      [banned],
    );
    const visible = ({ status, headers, body, setCookies }: Answer) => {
      const { 'x-request-id': _id, date: _date, ...rest } = headers;
      return { status, headers: rest, body, setCookies };
    };
    const known = await forgot();
    expect(known).toMatchObject({ status: 202, body: { status: 'accepted' } });
    for (const address of ['unknown@example.com', banned, email.toUpperCase()]) {
      expect(visible(await forgot(address))).toEqual(visible(known));
    }
    expect((await mailbox.collect()).map(({ to }) => to)).toEqual([email, email]);
  });

  it('replaces the password with the mailed token, and begins no session [RST-04]', async () => {
    const token = await mailedToken();
    const answer = await reset(token);
    expect(answer).toMatchObject({ status: 204, text: '', setCookies: [] });
    expect(await login(PASSWORD)).toMatchObject(REFUSED);
    expect((await login(NEW_PASSWORD)).status).toBe(200);
  });

  it('ends every session, on every instance, with the reason [RST-04, SES-12]', async () => {
    const people = [await loggedIn(app, { email }), await loggedIn(app, { email }, 'cookie')];
    const token = await mailedToken();
    for (const person of people) expect((await person.get('/v1/sessions/current')).status).toBe(200);
    expect((await reset(token, NEW_PASSWORD, other)).status).toBe(204);
    for (const person of people) {
      const copy = person.copy();
      expect(await sessionTier(app, person)).toBe('password_reset');
      await eventually(() => expectBothTiers(person, ENDED));
      expect(await sessionTier(other, person)).toBe('password_reset');
      await eventually(() => expectBothTiers(person.at(other), ENDED));
      expect(await copy.refresh()).toMatchObject(ENDED);
    }
  });

  it('causes a mail and an audit event [LOG-01, RST-04]', async () => {
    const token = await mailedToken();
    await reset(token);
    expect(await mailbox.collect()).toEqual([
      expect.objectContaining({ to: email, subject: 'Your password was changed' }),
    ]);
    const events = await app.query<{ type: string }>(
      `select type from audit_events where user_id = (select id from users where email = $1) order by id`,
      [email],
    );
    expect(events.map(({ type }) => type)).toEqual([
      'authn_password_reset_requested',
      'authn_password_reset',
    ]);
  });

  describe('has a token that', () => {
    it('works once, however many try at once, on any instance [RST-02]', async () => {
      const token = await mailedToken();
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          reset(token, `${NEW_PASSWORD} ${index}`, index % 2 ? app : other),
        ),
      );
      const done = answers.flatMap(({ status }, index) => (status === 204 ? [index] : []));
      expect(done).toHaveLength(1);
      for (const answer of answers.filter(({ status }) => status !== 204))
        expect(answer).toMatchObject(BAD_TOKEN);
      expect((await login(`${NEW_PASSWORD} ${done[0]}`)).status).toBe(200);
      expect(await reset(token)).toMatchObject(BAD_TOKEN);
      expect(await mailbox.collect()).toHaveLength(1);
    });

    it('expires after half an hour [RST-02]', async () => {
      const [late, inTime] = [await mailedToken(), await mailedToken()];
      void late;
      clock.advance(29 * MINUTE);
      expect((await reset(inTime)).status).toBe(204);
      const tooLate = await mailedToken();
      clock.advance(30 * MINUTE + 1_000);
      expect(await reset(tooLate, 'a password that comes late')).toMatchObject(BAD_TOKEN);
      expect((await login(NEW_PASSWORD)).status).toBe(200);
    });

    it('is void after another request, a password change, or the end of the account [RST-02, RST-04]', async () => {
      const first = await mailedToken();
      const second = await mailedToken();
      expect(await reset(first)).toMatchObject(BAD_TOKEN);
      expect((await reset(second)).status).toBe(204);
      const third = await mailedToken();
      const me = app.client();
      await me.login(email, NEW_PASSWORD, { transport: 'bearer' });
      expect((await me.delete('/v1/users/me')).status).toBe(204);
      expect(await reset(third)).toMatchObject(BAD_TOKEN);
      expect(await app.query('select from mailed_tokens where email = $1', [email])).toEqual([]);
    });

    it('is void for a user who is banned meanwhile', async () => {
      const token = await mailedToken();
      await app.query('update users set banned_at = now() where email = $1', [email]);
      expect(await reset(token)).toMatchObject(BAD_TOKEN);
    });

    it('is not used up by a password that is refused', async () => {
      const token = await mailedToken();
      expect(await reset(token, 'passwordpassword')).toMatchObject({
        status: 400,
        body: { errors: [{ path: 'newPassword' }] },
      });
      expect((await reset(token)).status).toBe(204);
    });

    it('cannot be forged, reversed, or taken from another purpose [KEY-04, RST-02]', async () => {
      const me = await loggedIn(app, { email });
      const changed = `new.${email}`;
      expect((await me.post('/v1/auth/email/change', { email: changed })).status).toBe(202);
      const forEmail = await mailbox.tokenFor(changed);
      const token = await mailedToken();
      const [row] = await app.query<{ id: string }>(
        `select id from mailed_tokens where purpose = 'password_reset'`,
      );
      const id = Buffer.from(row!.id.replaceAll('-', ''), 'hex');
      const forgeries = [
        '',
        'x',
        'A'.repeat(64),
        'A'.repeat(4_096),
        row!.id,
        forEmail,
        token.slice(0, -1),
        `${token}A`,
        token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
        Buffer.concat([id, Buffer.alloc(32)]).toString('base64url'),
        Buffer.concat([id, createHash('sha256').update(id).digest()]).toString('base64url'),
        Buffer.concat([id, Buffer.from(forEmail, 'base64url').subarray(16)]).toString('base64url'),
      ];
      for (const forgery of forgeries) {
        const answer = await reset(forgery);
        expect({ forgery, status: answer.status }).toEqual({ forgery, status: 400 });
        expect(new Set(answer.body.errors.map(({ path }: { path: string }) => path))).toEqual(
          new Set(['token']),
        );
      }
      expect(await app.client().post('/v1/auth/email/verify', { token })).toMatchObject(BAD_TOKEN);
      expect((await reset(token)).status).toBe(204);
    });

    it('is in no store: neither the token nor a digest of it, before its mail is sent or after [RST-02]', async () => {
      await forgot();
      const dump = async () => {
        const tables = ['mailed_tokens', 'mails', 'account_jobs', 'audit_events'];
        const rows = await Promise.all(tables.map((table) => app.query(`select t::text from ${table} t`)));
        return JSON.stringify(rows);
      };
      const { AccountJobQueue } = await import('../src/auth/registration/account-job-queue.js');
      await app.get(AccountJobQueue).run();
      const waiting = await dump();
      expect(waiting).toContain(email);
      const token = await mailbox.tokenFor(email);
      const mac = Buffer.from(token, 'base64url').subarray(16);
      for (const stored of [waiting, await dump()]) {
        expect(stored).not.toContain(token);
        expect(stored).not.toContain(mac.toString('hex'));
        expect(stored).not.toContain(createHash('sha256').update(token).digest('hex'));
      }
    });
  });

  it('mails a link to APP_URL, whatever host the request names [RST-03]', async () => {
    const spoofed = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example;proto=http',
      origin: 'http://evil.example',
      referer: 'http://evil.example/',
      'sec-fetch-site': 'same-origin',
    };
    expect((await forgot(email, spoofed)).status).toBe(202);
    const [mail] = await mailbox.collect();
    const [link] = linksIn(mail!.text);
    expect(link).toMatch(/^https:\/\/app\.example\.com\/account\/reset-password#token=[\w-]{64}$/);
    const addresses = [...mail!.html.matchAll(/href="([^"]*)"/g)].map(([, address]) => address);
    expect([...new Set(addresses)]).toEqual([link]);
    expect(JSON.stringify(mail)).not.toContain('evil');
  });

  it('races a login with the old password: the login comes before and is ended, or after and is refused', async () => {
    const { userId } = await loggedIn(app, { email });
    for (const resetFirst of [true, false]) {
      const [from, to] = resetFirst ? [PASSWORD, NEW_PASSWORD] : [NEW_PASSWORD, 'yet another one of owls'];
      const token = await mailedToken();
      const outside = await connect();
      await outside.query('begin');
      await outside.query('select from users where id = $1 for update', [userId]);
      const thief = other.client();
      const acts = [() => reset(token, to), () => thief.login(email, from, { transport: 'bearer' })];
      if (!resetFirst) acts.reverse();
      const running: Promise<Answer>[] = [];
      for (const act of acts) {
        running.push(act());
        await untilBlocked(app, running.length);
      }
      await outside.query('commit');
      const answers = await Promise.all(running);
      if (!resetFirst) answers.reverse();
      const [done, intruder] = answers as [Answer, Answer];
      expect(done.status).toBe(204);
      if (resetFirst) expect(intruder).toMatchObject(REFUSED);
      else {
        expect(intruder.status).toBe(200);
        await eventually(() => expectBothTiers(thief, ENDED));
      }
    }
  });
});
