import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { AccountDeletions, Problem, type AccountDeletion } from '#core';
import { resetStores, startApp, type TestApp } from './support/app.js';
import { createUser, loggedIn, type TestUser } from './support/test-users.js';

/** Real: PostgreSQL, the application over HTTP, and the registry, in which a test registers the hook of a feature. */

const PAYMENT = { amount: 1_250, currency: 'EUR', recipient: 'Bob' };
/** One row of the user in each table whose rows are deleted with the account. $1 is the id, $2 the address. */
const ROWS = {
  account_jobs: `(kind, email, context, due_at, created_at) values ('password_forgotten', $2, '{}', 'infinity', now())`,
  login_challenges: `values (sha256(convert_to($2, 'UTF8')), $1, '', 'bearer', null, null, now(), now())`,
  mailed_tokens: `(id, user_id, purpose, email, created_at, expires_at)
    values (gen_random_uuid(), $1, 'password_reset', $2, now(), 'infinity')`,
  mails: `(recipient, template, data, created_at, next_attempt_at) values ($2, 'new_device', '{}', now(), 'infinity')`,
  passkeys: `values (gen_random_uuid(), $1, convert_to($2, 'UTF8'), '', 0, '{}', gen_random_uuid(), true, true, '', now())`,
  profiles: '(user_id) values ($1)',
  recovery_codes: `values ($1, sha256('r'))`,
  totp_enrolments: `values ($1, gen_random_uuid(), '', 'test-key', now(), now())`,
  totp_factors: `values ($1, '', 'test-key', 0, now())`,
};

/** The columns with the owner's address, in tables that need not have the id. */
const OWNERS: Record<string, string> = { account_jobs: 'email', mails: 'recipient' };

describe('the deletion of an account', () => {
  let app: TestApp;
  let user: TestUser;
  let hook: AccountDeletion = async () => undefined;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
    app.get(AccountDeletions).register((tx, account) => hook(tx, account));
  });
  afterAll(async () => {
    await app.close();
    await resetStores();
  });
  beforeEach(async () => {
    user = await loggedIn(app, await createUser(app));
    const headers = { 'idempotency-key': randomUUID() };
    expect((await user.post('/v1/probe/payments', PAYMENT, { headers })).status).toBe(201);
  });

  const statusOf = ({ query }: { query(sql: string, parameters: unknown[]): Promise<unknown> }) =>
    query('select status from sessions where user_id = $1', [user.userId]);
  const payments = () => app.query('select from probe_payments where user_id = $1', [user.userId]);
  const removePayments: AccountDeletion = (tx, { id }) =>
    tx.query('delete from probe_payments where user_id = $1', [id]);

  it("runs a feature's hook in its transaction, with the id and the address of the account", async () => {
    const seen: unknown[] = [];
    hook = async (tx, account) => {
      seen.push({ ...account }, await statusOf({ query: (...sql) => tx.query(...sql) }), await statusOf(app));
      await removePayments(tx, account);
    };
    expect((await user.delete('/v1/users/me')).status).toBe(204);
    const { userId: id, email } = user;
    expect(seen).toEqual([
      expect.objectContaining({ id, email }),
      [{ status: 'ended' }],
      [{ status: 'active' }],
    ]);
    expect(await payments()).toEqual([]);
  });

  it("leaves the account, its session and its data as they were if a feature's hook throws", async () => {
    hook = async (...account) => {
      await removePayments(...account);
      throw new Problem('resource.conflict');
    };
    expect((await user.delete('/v1/users/me')).status).toBe(409);
    expect(await user.get('/v1/users/me')).toMatchObject({ status: 200, body: { email: user.email } });
    expect(await payments()).toHaveLength(1);
    expect(await app.query('select deleted_at from users where id = $1', [user.userId])).toEqual([
      { deleted_at: null },
    ]);
  });

  it('deletes the rows of the account in the table of every feature, and no rows of other accounts', async () => {
    hook = async () => undefined;
    const other = await loggedIn(app, await createUser(app));
    for (const { userId, email } of [user, other])
      for (const [table, row] of Object.entries(ROWS))
        // Each of the parameters has a use in each statement.
        await app.query(`with one as (select $1::uuid, $2::text) insert into ${table} ${row}`, [
          userId,
          email,
        ]);
    expect((await user.delete('/v1/users/me')).status).toBe(204);
    for (const table of Object.keys(ROWS)) {
      expect([table, await rowsOf(user, table)]).toEqual([table, 0]);
      expect([table, (await rowsOf(other, table)) > 0]).toEqual([table, true]);
    }
  });

  async function rowsOf({ userId, email }: TestUser, table: string): Promise<number> {
    const [column, value] = OWNERS[table] ? [OWNERS[table], email] : ['user_id', userId];
    return (await app.query(`select from ${table} where ${column} = $1`, [value])).length;
  }
});
