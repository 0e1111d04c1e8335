import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { migrateDatabase } from '../../src/platform/persistence/migrate.js';
import { revertLastMigration } from '../../src/platform/persistence/revert-migration.js';
import { runCommand } from '../../test/support/command.js';

/** Real: PostgreSQL, the migrations of the build, and the command as a process. */
describe('db:revert', () => {
  const name = `drawbridge_revert_${process.pid}`;
  const url = Object.assign(new URL(process.env['TEST_DATABASE_URL']!), { pathname: `/${name}` }).href;
  let owner: pg.Client;
  let client: pg.Client;

  beforeAll(async () => {
    owner = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await owner.connect();
    await owner.query(`create database ${name}`);
    await migrateDatabase(url);
    client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(
      `insert into users (id, email, display_name, created_at) values (gen_random_uuid(), 'a@example.com', 'A', now())`,
    );
    await client.query(`insert into used_device_proofs (digest, expires_at) values ('\\x00', now())`);
  });
  afterAll(async () => {
    await client.end();
    await owner.query(`drop database ${name}`);
    await owner.end();
  });

  const applied = async () =>
    (await client.query<{ name: string }>('select name from migrations order by id desc')).rows.map(
      (row) => row.name,
    );
  const revert = (...args: string[]) => runCommand('db:revert', args, { DATABASE_URL: url });

  it('says what it would do, does it with --yes, and deletes data only with --discard-data', async () => {
    const before = await applied();
    const [last] = before;
    const planned = await revert();
    expect(planned).toMatchObject({ code: 0 });
    expect(planned.output).toBe(
      `would revert ${last}, and deletes the table used_device_proofs with 1 rows; nothing was changed: repeat the command with --yes\n`,
    );
    const refused = await revert('--yes');
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringMatching(/was not reverted: .*--discard-data\n$/),
    });
    expect(await applied()).toEqual(before);

    const done = await revert('--yes', '--discard-data');
    expect(done).toEqual({
      code: 0,
      output: `reverted ${last}, and deleted the table used_device_proofs with 1 rows\n`,
    });
    expect(await applied()).toEqual(before.slice(1));
    expect(await revertLastMigration(url, { confirmed: false, discardsData: false })).toMatchObject({
      name: before[1],
      losses: [],
      isDone: false,
    });
  });

  it('finds the rows of a table and the values of a column that a revert drops', async () => {
    await client.query(`
      create table bills (id int); insert into bills values (1), (2);
      alter table users add column nickname text; update users set nickname = 'A'`);
    const found: string[] = [];
    const all = { confirmed: true, discardsData: true };
    for (let each; (each = await revertLastMigration(url, all));) found.push(...each.losses);
    expect(found).toContain('the table users with 1 rows');
    expect(await revertLastMigration(url, all)).toBeNull();
    expect((await client.query('select count(*)::int from bills')).rows).toEqual([{ count: 2 }]);
    await migrateDatabase(url);
  });

  it('refuses a migration that this version does not have', async () => {
    await client.query(
      `insert into migrations (timestamp, name) values (9999999999999, 'Later9999999999999')`,
    );
    expect(await revert('--yes')).toEqual({
      code: 1,
      output: expect.stringMatching(/^the last migration, Later9999999999999, is not part of this version: /),
    });
  });
});
