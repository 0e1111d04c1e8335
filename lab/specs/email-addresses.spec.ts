import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import pg from 'pg';
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
      output: expect.stringContaining(`${canonical} has`),
    });
    expect(grant('<ida@b.example>')).toEqual({
      status: 1,
      output: expect.stringMatching(/^"<ida@b\.example>" is not an e-mail address.*\n$/),
    });
  }, 120_000);
});

/** Real: a database of the previous schema, made by the migrations themselves. */
describe('a database with addresses in other spellings', () => {
  const name = `drawbridge_addresses_${process.pid}`;
  let owner: pg.Client;
  let client: pg.Client;
  let url: string;
  let migrate: (url: string) => Promise<string[]>;

  beforeAll(async () => {
    const build = new URL('../../dist/platform/persistence/migrate.js', import.meta.url);
    ({ migrateDatabase: migrate } = (await import(build.href)) as { migrateDatabase: typeof migrate });
    owner = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await owner.connect();
    await owner.query(`create database ${name}`);
    url = Object.assign(new URL(process.env['TEST_DATABASE_URL']!), { pathname: `/${name}` }).href;
    await migrate(url);
    client = new pg.Client({ connectionString: url });
    await client.connect();
    for (const table of ['users', 'mailed_tokens', 'account_jobs'])
      await client.query(`alter table ${table} drop constraint ${table}_email_is_canonical`);
    await client.query('drop function is_canonical_email');
    await client.query(`delete from migrations where name like '%CanonicalAddresses%'`);
  });
  afterAll(async () => {
    await client.end();
    await owner.query(`drop database ${name}`);
    await owner.end();
  });

  const add = async (email: string) => {
    const id = randomUUID();
    await client.query(
      `insert into users (id, email, password_hash, created_at) values ($1, $2, 'x', now())`,
      [id, email],
    );
    return id;
  };
  const emailOf = async (id: string) =>
    (await client.query('select email from users where id = $1', [id])).rows[0].email as string;

  it('names the accounts that only a person can put right, and stays unchanged until then', async () => {
    const [plain, alone] = [await add('plain@b.example'), await add('alone@bücher.example')];
    const [one, two] = [await add('both@xn--bcher-kva.example'), await add('both@bücher.example')];
    const none = await add('"q"@b.example');
    for (const [id, email] of [
      [alone, 'alone@bücher.example'],
      [two, '<two@b.example>'],
    ])
      await client.query(
        `insert into mailed_tokens (id, user_id, purpose, email, created_at, expires_at)
         values ($1, $1, 'password_reset', $2, now(), now() + interval '1 hour')`,
        [id, email],
      );
    const failed = await migrate(url).catch((error: Error) => error.message);
    expect(failed).toMatch(/^2 accounts /);
    expect(failed).toContain(`${none}: "\\"q\\"@b.example" is not an address`);
    expect(failed).toMatch(new RegExp(`both@xn--bcher-kva.example, which (${one}|${two}) has`));
    expect(await emailOf(alone)).toBe('alone@bücher.example');

    await client.query(`update users set email = 'other@b.example' where id = $1`, [two]);
    await client.query('update users set email = null, deleted_at = now() where id = $1', [none]);
    expect(await migrate(url)).toEqual([
      'CanonicalAddresses1763684500600',
      'ValidateCanonicalAddresses1763684500601',
    ]);
    expect(await emailOf(plain)).toBe('plain@b.example');
    expect(await emailOf(alone)).toBe('alone@xn--bcher-kva.example');
    expect((await client.query('select email from mailed_tokens')).rows).toEqual([
      { email: 'alone@xn--bcher-kva.example' },
    ]);
    await expect(add('new@BÜCHER.example')).rejects.toMatchObject({ code: '23514' });
  });
});
