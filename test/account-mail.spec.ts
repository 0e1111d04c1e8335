import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccountJobQueue } from '../src/auth/registration/account-job-queue.js';
import { AccountMailService } from '../src/auth/registration/account-mail.service.js';
import { MailOutbox } from '../src/platform/mail/mail-outbox.js';
import {
  holdBackgroundWork,
  ALICE,
  BOB,
  PASSWORD,
  resetStores,
  startApp,
  type TestApp,
} from './support/app.js';
import type { Answer } from './support/client.js';
import { TestClock } from './support/clock.js';
import { addressesInHtml } from './support/mail-html.js';
import { linksIn, Mailbox } from './support/mailbox.js';
import { loggedIn } from './support/test-users.js';
import { connect, disconnect, Gate, untilBlocked } from './support/waiting.js';

const OWN_PASSWORD = 'nine owls under a bridge';
const REFUSED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const BAD_TOKEN = { status: 400, body: { code: 'request.invalid', errors: [{ path: 'token' }] } };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let count = 0;
const newEmail = () => `someone${(count += 1)}@example.com`;
const visible = ({ status, headers, body, setCookies }: Answer) => {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = body as Record<string, unknown>;
  return { status, headers: rest, body: said, setCookies };
};

/** Real: PostgreSQL, the cache, the hasher. Simulated: the mail server. */
describe('an address', () => {
  let clock: TestClock;
  let app: TestApp;
  let mailbox: Mailbox;
  let email: string;

  const start = async (env: Record<string, string>) => {
    await resetStores();
    clock = new TestClock();
    app = await startApp({ clock, env });
    mailbox = new Mailbox(app);
  };
  const register = (address = email, password = OWN_PASSWORD) =>
    app.client().post('/v1/auth/register', { email: address, password });
  const login = (password = OWN_PASSWORD, address = email) =>
    app.client().login(address, password, { transport: 'bearer' });
  const verify = (token: string) => app.client().post('/v1/auth/email/verify', { token });

  beforeEach(() => void (email = newEmail()));

  describe('that has to be verified (EMAIL_VERIFICATION=required)', () => {
    beforeAll(() => start({ EMAIL_VERIFICATION: 'required' }));
    afterAll(() => app.close());

    it('allows no login before it is verified, and looks like wrong credentials until then [AUT-01]', async () => {
      expect((await register()).status).toBe(202);
      const unverified = await login();
      expect(unverified).toMatchObject(REFUSED);
      expect(visible(unverified)).toEqual(visible(await login('this is not the password')));
      expect(visible(unverified)).toEqual(visible(await login(OWN_PASSWORD, newEmail())));
      const token = await mailbox.tokenFor(email);
      expect(await login()).toMatchObject(REFUSED);
      expect(await verify(token)).toMatchObject({ status: 204, text: '', setCookies: [] });
      expect((await login()).status).toBe(200);
    });

    it('is verified once, and a link that is followed again, even by many requests at once, still succeeds', async () => {
      await register();
      const token = await mailbox.tokenFor(email);
      const answers = await Promise.all(Array.from({ length: 10 }, () => verify(token)));
      for (const answer of answers) expect(answer).toMatchObject({ status: 204, text: '' });
      clock.advance(24 * HOUR - MINUTE);
      expect((await verify(token)).status).toBe(204);
      clock.advance(2 * MINUTE);
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
      const events = await app.query(
        `select from audit_events where type = 'email_verified' and user_id = (select id from users where email = $1)`,
        [email],
      );
      expect(events).toHaveLength(1);
    });

    it('is not verified by a used link after it was changed or its account was banned', async () => {
      await register();
      const token = await mailbox.tokenFor(email);
      expect((await verify(token)).status).toBe(204);
      for (const change of [
        `banned_at = now()`,
        `banned_at = null, email = 'other-' || email`,
        `email = $1, email_verified_at = null`,
      ]) {
        await app.query(`update users set ${change} where email like '%' || $1`, [email]);
        expect(await verify(token)).toMatchObject(BAD_TOKEN);
      }
    });

    it('is verified within a day', async () => {
      await register();
      const token = await mailbox.tokenFor(email);
      clock.advance(24 * HOUR + 1_000);
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
      expect(await login()).toMatchObject(REFUSED);
    });

    it('is not verified for another person who registered it first: the reader of the mailbox chooses the password', async () => {
      await register(email, 'a password of someone else');
      const first = await mailbox.tokenFor(email);
      expect((await register()).status).toBe(202);
      const token = await mailbox.tokenFor(email);
      expect(await verify(first)).toMatchObject(BAD_TOKEN);
      const choice = { token, newPassword: 'a password of the rightful owner' };
      expect((await app.client().post('/v1/auth/password/reset', choice)).status).toBe(204);
      expect(await login('a password of someone else')).toMatchObject(REFUSED);
      expect(await login()).toMatchObject(REFUSED);
      expect((await login('a password of the rightful owner')).status).toBe(200);
    });

    it('gets a link by registering again, at most once a minute, and a registration does not void an earlier link', async () => {
      await register();
      await mailbox.collect();
      await register();
      const token = await mailbox.tokenFor(email);
      await register();
      expect(await mailbox.collect()).toEqual([]);
      clock.advance(MINUTE + 1_000);
      await register();
      expect(await mailbox.tokenFor(email)).toBe(token);
    });

    it('is verified by a password reset as well, because only a reader of that mailbox gets the token', async () => {
      await register();
      await mailbox.collect();
      await app.client().post('/v1/auth/password/forgot', { email });
      const token = await mailbox.tokenFor(email);
      const newPassword = 'a password of the rightful owner';
      expect((await app.client().post('/v1/auth/password/reset', { token, newPassword })).status).toBe(204);
      expect((await login(newPassword)).status).toBe(200);
    });

    it('keeps the sessions that began before verification was required', async () => {
      const alice = await loggedIn(app, ALICE);
      await app.query('update users set email_verified_at = null where id = $1', [ALICE.id]);
      expect((await alice.get('/v1/sessions/current')).status).toBe(200);
      expect((await alice.refresh()).status).toBe(200);
      expect(await login(PASSWORD, ALICE.email)).toMatchObject(REFUSED);
      await app.query('update users set email_verified_at = now() where id = $1', [ALICE.id]);
    });
  });

  describe('that is registered (EMAIL_VERIFICATION=off)', () => {
    beforeAll(() => start({}));
    afterAll(() => app.close());

    it('can be used to log in at once, and gets no mail', async () => {
      await register();
      expect((await login()).status).toBe(200);
      expect(await mailbox.collect()).toEqual([]);
    });

    it('gets a mail when it is registered again, at most once an hour', async () => {
      await register();
      await mailbox.collect();
      const told = expect.objectContaining({ to: email, subject: 'You already have an account' });
      for (let hours = 0; hours < 3; hours += 1) {
        await Promise.all([register(), register(), register()]);
        expect(await mailbox.collect()).toEqual([told]);
        clock.advance(HOUR - 5_000);
        await register();
        expect(await mailbox.collect()).toEqual([]);
        clock.advance(6_000);
      }
    });

    it('gets no link in that mail, because its owner requested nothing', async () => {
      await register(ALICE.email);
      const [mail] = await mailbox.collect();
      expect(linksIn(mail!.text)).toEqual([]);
      expect((await login(PASSWORD, ALICE.email)).status).toBe(200);
    });

    it('gets no mail for a registration that is refused', async () => {
      await register(BOB.email, 'passwordpassword');
      expect(await mailbox.collect()).toEqual([]);
    });
  });

  describe('that is to be changed', () => {
    beforeAll(() => start({}));
    afterAll(() => app.close());
    afterEach(disconnect);
    beforeEach(async () => {
      await register();
      await mailbox.collect();
    });

    const begin = async () => {
      const me = app.client();
      await me.login(email, OWN_PASSWORD, { transport: 'bearer' });
      return me;
    };
    const change = (client: Awaited<ReturnType<typeof begin>>, to: string) =>
      client.post('/v1/auth/email/change', { email: to });

    it('is changed by the link to the new one, and both addresses get a mail [RST-06]', async () => {
      const [me, to] = [await begin(), newEmail()];
      expect(await change(me, to)).toMatchObject({ status: 202, body: { status: 'accepted' } });
      const mails = await mailbox.collect();
      expect(mails.map(({ to, subject }) => [to, subject]).sort()).toEqual(
        [
          [email, 'A change of your e-mail address was requested'],
          [to, 'Confirm your new e-mail address'],
        ].sort(),
      );
      expect(mails.find((mail) => mail.to === email)!.text).toContain(
        `“${to.replace('@', '[at]').replace('.', '[dot]')}”`,
      );
      expect(mails.flatMap((mail) => (mail.to === email ? linksIn(mail.text) : []))).toEqual([]);
      expect((await me.get('/v1/users/me')).body.email).toBe(email);
      const [link] = linksIn(mails.find((mail) => mail.to === to)!.text);
      expect(link).toMatch(/^http:\/\/localhost:\d+\/verify-email#token=/);

      expect((await verify(link!.split('#token=')[1]!)).status).toBe(204);
      expect((await me.get('/v1/users/me')).body.email).toBe(to);
      expect((await login(OWN_PASSWORD, to)).status).toBe(200);
      expect(await login()).toMatchObject(REFUSED);
      expect(await mailbox.collect()).toEqual([
        expect.objectContaining({ to: email, subject: 'Your e-mail address was changed' }),
      ]);
    });

    it('is changed once by a link that is followed again, even after the next change was requested', async () => {
      const [me, to] = [await begin(), newEmail()];
      await change(me, to);
      const token = await mailbox.tokenFor(to);
      const answers = await Promise.all(Array.from({ length: 5 }, () => verify(token)));
      expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 204, 204]);
      expect((await mailbox.collect()).map(({ subject }) => subject)).toEqual([
        'Your e-mail address was changed',
      ]);
      const next = newEmail();
      await change(me, next);
      const following = await mailbox.tokenFor(next);
      expect((await verify(token)).status).toBe(204);
      expect((await verify(following)).status).toBe(204);
      expect((await me.get('/v1/users/me')).body.email).toBe(next);
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
      clock.advance(HOUR);
      expect(await verify(following)).toMatchObject(BAD_TOKEN);
    });

    it('requires a fresh session [RST-06]', async () => {
      const me = await begin();
      clock.advance(6 * MINUTE);
      expect(await change(me, newEmail())).toMatchObject({
        status: 401,
        body: { code: 'auth.reauthentication_required' },
      });
      expect(await mailbox.collect()).toEqual([]);
    });

    it('to a taken one gets the usual answer; its owner gets a mail without a link [AUT-09]', async () => {
      const me = await begin();
      const free = visible(await change(me, newEmail()));
      await mailbox.collect();
      clock.advance(1_000);
      expect(visible(await change(me, BOB.email))).toEqual(free);
      const mails = await mailbox.collect();
      expect(mails.map(({ to, subject }) => [to, subject])).toEqual([
        [BOB.email, 'You already have an account'],
        [email, 'A change of your e-mail address was requested'],
      ]);
      expect(mails.flatMap(({ text }) => linksIn(text))).toEqual([]);
    });

    it('to one that is taken before the link is followed stays unchanged', async () => {
      const [me, to] = [await begin(), newEmail()];
      await change(me, to);
      const token = await mailbox.tokenFor(to);
      await register(to);
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
      expect((await me.get('/v1/users/me')).body.email).toBe(email);
    });

    it('by two users to one address is changed for the first who follows the link', async () => {
      const to = newEmail();
      const me = await begin();
      email = newEmail();
      await register();
      const you = await begin();
      const tokens: string[] = [];
      for (const person of [me, you]) {
        await change(person, to);
        tokens.push(await mailbox.tokenFor(to));
      }
      const answers = await Promise.all(tokens.map(verify));
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
    });

    it('is cancelled by a new password', async () => {
      const [me, to] = [await begin(), newEmail()];
      await change(me, to);
      const token = await mailbox.tokenFor(to);
      const passwords = { currentPassword: OWN_PASSWORD, newPassword: 'the kettle sings at noon' };
      expect((await me.post('/v1/auth/password/change', passwords)).status).toBe(204);
      expect(await verify(token)).toMatchObject(BAD_TOKEN);
    });

    describe('by a user whose sessions end before the mail is written', () => {
      const newPassword = 'the kettle sings at noon';
      const mailedTo = async (address: string) =>
        (await mailbox.collect()).filter(({ to }) => to === address).map(({ subject }) => subject);

      it('is cancelled by a new password', async () => {
        const [owner, thief, to] = [await begin(), await begin(), newEmail()];
        expect((await change(thief, to)).status).toBe(202);
        const passwords = { currentPassword: OWN_PASSWORD, newPassword };
        expect((await owner.post('/v1/auth/password/change', passwords)).status).toBe(204);
        expect(await mailedTo(to)).toEqual([]);
        expect(await app.query('select from mailed_tokens where email = $1', [to])).toEqual([]);
        expect((await change(owner, to)).status).toBe(202);
        expect(await mailedTo(to)).toEqual(['Confirm your new e-mail address']);
      });

      it('is cancelled by a reset', async () => {
        await app.client().post('/v1/auth/password/forgot', { email });
        const token = await mailbox.tokenFor(email);
        const [thief, to] = [await begin(), newEmail()];
        expect((await change(thief, to)).status).toBe(202);
        const reset = await app.client().post('/v1/auth/password/reset', { token, newPassword });
        expect(reset.status).toBe(204);
        expect(await mailedTo(to)).toEqual([]);
      });

      it('sends no mail that the address is taken', async () => {
        clock.advance(HOUR); // since the last mail to the owner of that address
        const [owner, thief] = [await begin(), await begin()];
        expect((await change(thief, BOB.email)).status).toBe(202);
        expect((await owner.delete('/v1/sessions?except=current')).status).toBe(200);
        expect(await mailbox.collect()).toEqual([]);
      });

      it('is cancelled by a password that is being changed at that moment', async () => {
        const [owner, thief, to] = [await begin(), await begin(), newEmail()];
        await change(thief, to);
        const outside = await connect();
        await outside.query('begin');
        await outside.query('select from users where email = $1 for no key update', [email]);
        const changed = owner.post('/v1/auth/password/change', {
          currentPassword: OWN_PASSWORD,
          newPassword,
        });
        await untilBlocked(app, 1);
        const mails = mailedTo(to);
        await untilBlocked(app, 2);
        await outside.query('commit');
        expect((await changed).status).toBe(204);
        expect(await mails).toEqual([]);
      });
    });

    it('voids all links to the old address, so that a reader of that mailbox can do nothing more', async () => {
      const [me, to] = [await begin(), newEmail()];
      await app.client().post('/v1/auth/password/forgot', { email });
      const reset = await mailbox.tokenFor(email);
      await change(me, to);
      expect((await verify(await mailbox.tokenFor(to))).status).toBe(204);
      expect(await app.query('select from mailed_tokens where email = $1', [email])).toEqual([]);
      const body = { token: reset, newPassword: 'a password of a former owner' };
      expect(await app.client().post('/v1/auth/password/reset', body)).toMatchObject(BAD_TOKEN);
    });

    it('by a session that ends meanwhile is not requested: the fence refuses it', async () => {
      const me = await begin();
      const { id } = (await me.get('/v1/sessions/current')).body;
      const before = await app.query('select from account_jobs');
      const outside = await connect();
      await outside.query('begin');
      await outside.query('select from sessions where id = $1 for update', [id]);
      await outside.query(
        `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
        [id],
      );
      const late = change(me, newEmail());
      await untilBlocked(app, 1);
      await outside.query('commit');
      expect((await late).status).toBe(401);
      expect(await app.query('select from account_jobs')).toEqual(before);
    });
  });

  describe('that has a pending account job', () => {
    beforeAll(() => start({}));
    afterAll(() => app.close());

    const forgot = (address: string) => app.client().post('/v1/auth/password/forgot', { email: address });

    it('is processed once, however many instances try', async () => {
      const other = await startApp({ clock });
      holdBackgroundWork(other);
      await forgot(ALICE.email);
      const queues = [app, other, app, other].map((at) => at.get(AccountJobQueue));
      const done = await Promise.all(queues.map((queue) => queue.run()));
      expect(done.reduce((sum, each) => sum + each)).toBe(1);
      expect(await mailbox.collect()).toHaveLength(1);
      await other.close();
    });

    it('is processed later after a failure, and delays no other job', async () => {
      const mail = app.get(AccountMailService);
      const handle = mail.handle.bind(mail);
      mail.handle = (tx, job, now) =>
        job.email === ALICE.email ? Promise.reject(new Error('not now')) : handle(tx, job, now);
      await forgot(ALICE.email);
      await forgot(BOB.email);
      expect((await mailbox.collect()).map(({ to }) => to)).toEqual([BOB.email]);
      mail.handle = handle;
      expect(await mailbox.collect()).toEqual([]);
      clock.advance(MINUTE + 1_000);
      expect((await mailbox.collect()).map(({ to }) => to)).toEqual([ALICE.email]);
    });

    it('of an account that is deleted meanwhile does not delay the deletion, and gets no mail', async () => {
      const address = newEmail();
      await register(address);
      await mailbox.collect();
      const me = app.client();
      await me.login(address, OWN_PASSWORD, { transport: 'bearer' });
      await forgot(address);
      const [begun, ended] = [new Gate(), new Gate()];
      const mail = app.get(AccountMailService);
      const handle = mail.handle.bind(mail);
      mail.handle = async (...job) => {
        begun.open();
        await ended.opened;
        return handle(...job);
      };
      const mails = mailbox.collect();
      await begun.opened;
      expect((await me.delete('/v1/users/me')).status).toBe(204);
      ended.open();
      expect(await mails).toEqual([]);
      mail.handle = handle;
      expect(await app.query('select from account_jobs')).toEqual([]);
    });

    it('gets no mail after the job has expired', async () => {
      await forgot(ALICE.email);
      clock.advance(HOUR + 1_000);
      expect(await mailbox.collect()).toEqual([]);
      expect(await app.query('select from account_jobs')).toEqual([]);
    });
  });
});

/** Real: PostgreSQL, the files. */
describe('mails in development', () => {
  let folder: string;
  let app: TestApp;
  let print: jest.SpiedFunction<typeof console.log>;

  beforeAll(async () => {
    await resetStores();
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-mails-'));
  });
  beforeEach(() => {
    print = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  });
  afterEach(() => print.mockRestore());
  afterAll(() => rm(folder, { recursive: true }));

  const start = async (nodeEnv: string) => {
    app = await startApp({ env: { NODE_ENV: nodeEnv, DATA_DIR: folder, COOKIE_SECURE: 'true' } });
    holdBackgroundWork(app);
  };

  it('are printed, and can be read on a page, newest first, with links to follow, and as JSON', async () => {
    await start('development');
    const read = (accept: string) => app.client().get('/dev/mails', { headers: { accept } });
    expect((await read('text/html')).text).toContain('No mails yet');
    const strange = 'rock&roll@example.com';
    await app.client().post('/v1/auth/register', { email: strange, password: OWN_PASSWORD });
    for (const email of [strange, ALICE.email]) {
      await app.client().post('/v1/auth/password/forgot', { email });
      await app.get(AccountJobQueue).run();
    }
    await app.get(MailOutbox).run();

    const { items } = (await read('application/json')).body;
    const printed = print.mock.calls.join('\n');
    for (const { text } of items) expect(printed).toContain(text);
    expect(items).toEqual(
      [ALICE.email, strange].map((to) => ({
        to,
        subject: 'Choose a new password',
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        text: expect.stringContaining('#token='),
        html: expect.stringMatching(/^\/dev\/mails\/\d+-\d+\/html$/),
      })),
    );
    const { text, headers } = await read('text/html,*/*');
    expect(headers['content-type']).toMatch(/^text\/html/);
    expect(text).toContain(`<a href="${linksIn(items[0].text)[0]}">`);
    expect(text).toContain('to rock&amp;roll@example.com<');
    expect(text).toContain(`<a href="${items[0].html}">as HTML</a>`);
    const token = linksIn(items[0].text)[0]!.split('#token=')[1]!;
    const body = { token, newPassword: 'the kettle sings at noon' };
    expect((await app.client().post('/v1/auth/password/reset', body)).status).toBe(204);
    await app.close();
  });

  it('are shown as HTML, which may run no script and load nothing', async () => {
    await start('development');
    await app.client().post('/v1/auth/password/forgot', { email: BOB.email });
    await app.get(AccountJobQueue).run();
    await app.get(MailOutbox).run();
    const { items } = (await app.client().get('/dev/mails', { headers: { accept: 'application/json' } }))
      .body;
    expect(items[0].to).toBe(BOB.email);
    const { status, headers, text } = await app.client().get(items[0].html);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    });
    expect(addressesInHtml(text)[0]).toBe(linksIn(items[0].text)[0]);
    for (const id of ['1-1', '..%2f..%2fkeys', 'keys', '1-1.txt'])
      expect(await app.client().get(`/dev/mails/${id}/html`)).toMatchObject({
        status: 404,
        headers: { 'content-type': 'application/problem+json; charset=utf-8' },
      });
    await app.close();
  });

  it('are on no page anywhere else, and not printed', async () => {
    await start('test');
    for (const path of ['/dev/mails', '/dev/mails/1-1/html'])
      expect((await app.client().get(path)).status).toBe(404);
    await app.client().post('/v1/auth/password/forgot', { email: ALICE.email });
    await app.get(AccountJobQueue).run();
    expect(await app.get(MailOutbox).run()).toBeGreaterThan(0);
    expect(print).not.toHaveBeenCalled();
    await app.close();
  });
});
