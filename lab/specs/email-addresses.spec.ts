import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { DEMO_USERS } from '../../src/seeds.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { loggedIn } from '../../test/support/test-users.js';

const OWN_PASSWORD = 'nine owls under a bridge';
const REFUSED = { status: 400, body: { code: 'request.invalid', errors: [{ path: 'email' }] } };

/** Spellings of one mailbox (UTS 46, RFC 5890), the canonical one first. */
function spellingsOf(local: string): [string, ...string[]] {
  return [
    `${local}@xn--bcher-kva.example`,
    `${local}@bücher.example`,
    `${local.toUpperCase()}@BÜCHER.EXAMPLE`,
    `${local}@bu\u0308cher.example`,
    `${local}@XN--BCHER-KVA.example`,
    `${local}@bücher\u3002example`,
    `${local}@bücher\uff0eexample`,
    `${local}@bücher\uff61example`,
    `${local}@bü\u00adcher.example`,
    `${local}@bü\u200bcher.example`,
  ];
}
/** Strings that mail programs read as an address of b.example, and strings that are no address. */
const refusedSpellings = (local: string): string[] => [
  `<${local}@b.example>`,
  `${local}@b.example>`,
  `Anna <${local}@b.example>`,
  `"${local}"@b.example`,
  `${local}(me)@b.example`,
  `${local}@b.example.`,
  `${local}@b.example,x@b.example`,
  `${local}@b.example;x@b.example`,
  `${local}@[192.0.2.1]`,
  `${local}@192.0.2.1`,
  `${local}@b%2eexample`,
  `ä${local}@b.example`,
  `\u202e${local}@b.example`,
  `${local}@b.example\r\nBcc: x@b.example`,
];

/** Real: PostgreSQL, the cache, the hasher, the command. Simulated: the mail server. */
describe('an e-mail address', () => {
  let app: TestApp;
  let mailbox: Mailbox;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
    mailbox = new Mailbox(app);
  });
  afterAll(() => app.close());

  const register = (email: string) =>
    app.client().post('/v1/auth/register', { email, password: OWN_PASSWORD });
  const accounts = () => app.query<{ email: string }>('select email from users order by email');

  it('has one account, whatever spelling a user registers', async () => {
    const [canonical, ...others] = spellingsOf('anna');
    expect((await register(others[0]!)).status).toBe(202);
    await mailbox.collect();
    const before = await accounts();
    expect(before).toContainEqual({ email: canonical });
    for (const spelling of [canonical, ...others]) expect((await register(spelling)).status).toBe(202);
    expect(await accounts()).toEqual(before);
    expect(await mailbox.collect()).toEqual([
      expect.objectContaining({ to: canonical, subject: 'You already have an account' }),
    ]);
  });

  it('lets its owner log in with each of its spellings, and is shown in the canonical one', async () => {
    const [canonical, ...others] = spellingsOf('bert');
    await register(canonical);
    for (const spelling of [canonical, ...others]) {
      const { status, body } = await app.client().login(spelling, OWN_PASSWORD, { transport: 'bearer' });
      expect({ spelling, status, email: body.user?.email }).toEqual({
        spelling,
        status: 200,
        email: canonical,
      });
    }
  });

  it('gets its mail in the canonical spelling, whichever one requests a new password', async () => {
    const [canonical, ...others] = spellingsOf('carl');
    await register(canonical);
    await mailbox.collect();
    for (const spelling of others) {
      await app.client().post('/v1/auth/password/forgot', { email: spelling });
      expect((await mailbox.collect()).map(({ to }) => to)).toEqual([canonical]);
    }
  });

  it('is changed to its canonical spelling, and not to another spelling of a taken one', async () => {
    const [canonical, spelling] = spellingsOf('dora');
    const [taken, ...others] = spellingsOf('emil');
    await register(taken);
    await mailbox.collect();
    const me = await loggedIn(app, ALICE);
    const change = (email: string) => me.post('/v1/auth/email/change', { email });
    for (const other of others.slice(0, 3)) {
      expect((await change(other)).status).toBe(202);
      expect((await mailbox.collect()).filter(({ subject }) => subject.startsWith('Confirm'))).toEqual([]);
    }
    expect((await change(spelling!)).status).toBe(202);
    const token = await mailbox.tokenFor(canonical);
    expect((await app.client().post('/v1/auth/email/verify', { token })).status).toBe(204);
    expect((await me.get('/v1/users/me')).body.email).toBe(canonical);
    expect((await change(ALICE.email)).status).toBe(202);
    await app.client().post('/v1/auth/email/verify', { token: await mailbox.tokenFor(ALICE.email) });
  });

  it('is found by an admin in each spelling, also by its beginning', async () => {
    const [canonical, ...others] = spellingsOf('fritz');
    await register(canonical);
    const admin = await loggedIn(app, ADMIN);
    for (const query of [canonical, ...others, 'fritz@bücher', 'FRITZ@', 'fritz@xn--b']) {
      const { body } = await admin.get(`/v1/admin/users?query=${encodeURIComponent(query)}`);
      expect({ query, found: body.items.map(({ email }: { email: string }) => email) }).toEqual({
        query,
        found: [canonical],
      });
    }
  });

  it('that is not in the grammar is refused wherever an address is taken, and nothing is written', async () => {
    const me = await loggedIn(app, ALICE);
    const before = [await accounts(), await app.query('select from account_jobs')];
    for (const email of refusedSpellings('gerd')) {
      const answers = [
        await register(email),
        await app.client().post('/v1/auth/login', { email, password: OWN_PASSWORD }),
        await app.client().post('/v1/auth/password/forgot', { email }),
        await me.post('/v1/auth/email/change', { email }),
      ];
      for (const answer of answers) {
        expect({ email, ...answer }).toMatchObject({ email, ...REFUSED });
        expect(answer.text).not.toContain('gerd');
      }
    }
    expect([await accounts(), await app.query('select from account_jobs')]).toEqual(before);
  });

  it('of another spelling is refused by the database itself', async () => {
    const [user] = await app.query<{ id: string }>('select id from users where email = $1', [ALICE.email]);
    const [canonical, ...others] = spellingsOf('hans');
    const set = (email: string) => app.query('update users set email = $2 where id = $1', [user!.id, email]);
    for (const email of [...others, ...refusedSpellings('hans'), 'hans@localhost', 'Hans@b.example'])
      await expect(set(email)).rejects.toMatchObject({ constraint: 'users_email_is_canonical' });
    for (const email of [
      canonical,
      "!#$%&'*+/=?^_`{|}~-x@b.example",
      `${'l'.repeat(64)}@b.example`,
      ALICE.email,
    ])
      await set(email);
    const job = `insert into account_jobs (kind, email, context, created_at, due_at)
                 values ('registered', $1, '{}', now(), now())`;
    const token = `insert into mailed_tokens (id, user_id, purpose, email, created_at, expires_at)
                   values (gen_random_uuid(), $2, 'password_reset', $1, now(), now())`;
    await expect(app.query(job, [others[0]])).rejects.toMatchObject({
      constraint: 'account_jobs_email_is_canonical',
    });
    await expect(app.query(token, [others[0], user!.id])).rejects.toMatchObject({
      constraint: 'mailed_tokens_email_is_canonical',
    });
  });

  it('of each demo user is canonical', () => {
    for (const { email } of DEMO_USERS) expect(email).toMatch(/^[a-z]+@example\.com$/);
  });

  it('is made an admin by the command in each spelling, and the command refuses an invalid address', async () => {
    const [canonical, spelling] = spellingsOf('ida');
    await register(canonical);
    const grant = (address: string) => {
      const { TEST_DATABASE_URL: DATABASE_URL, TEST_REDIS_URL: REDIS_URL, PATH } = process.env;
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [resolve('dist/admin/grant-admin.cli.js'), address],
        { encoding: 'utf8', env: { PATH, NODE_ENV: 'test', DATABASE_URL, REDIS_URL, LOG_LEVEL: 'silent' } },
      );
      return { status, output: stdout + stderr };
    };
    expect(grant(spelling!)).toMatchObject({
      status: 0,
      output: expect.stringContaining(`${canonical} becomes an admin`),
    });
    expect(grant('<ida@b.example>')).toEqual({
      status: 1,
      output: expect.stringMatching(/^"<ida@b\.example>" is not an e-mail address.*\n$/),
    });
  }, 120_000);
});
