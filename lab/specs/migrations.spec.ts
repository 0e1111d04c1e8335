import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolve } from 'node:path';
import pg from 'pg';
import { DataSource, MigrationExecutor } from 'typeorm';

/** Everything in the schema, except the table in which TypeORM records the migrations. */
const OBJECTS = `
  select 'relation ' || relname as object from pg_class
  where relnamespace = 'public'::regnamespace and relname !~ '^(migrations|PK_)'
  union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
  from pg_attribute join pg_class on pg_class.oid = attrelid
  where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'migrations'
    and attnum > 0 and not attisdropped
  union all select 'constraint ' || conname || ' of ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
  from pg_constraint where connamespace = 'public'::regnamespace and conrelid::regclass::text <> 'migrations'
  union all select 'function ' || proname from pg_proc where pronamespace = 'public'::regnamespace
  union all select 'trigger ' || tgname || ' of ' || tgrelid::regclass from pg_trigger where not tgisinternal
  order by object`;

/** Real: PostgreSQL, and the migrations of the build. */
describe('the migrations', () => {
  const name = `drawbridge_migrations_${process.pid}`;
  const url = Object.assign(new URL(process.env['TEST_DATABASE_URL']!), { pathname: `/${name}` }).href;
  let owner: pg.Client;
  let source: DataSource;

  beforeAll(async () => {
    owner = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await owner.connect();
    await owner.query(`create database ${name}`);
    const migrations = [resolve('dist/**/migrations/*.js')];
    source = await new DataSource({
      type: 'postgres',
      url,
      migrations,
      installExtensions: false,
    }).initialize();
  });
  afterAll(async () => {
    await source.destroy();
    await owner.query(`drop database ${name}`);
    await owner.end();
  });

  const objects = async () => (await source.query<{ object: string }[]>(OBJECTS)).map(({ object }) => object);

  it('are undone one by one, each completely, and can be applied again', async () => {
    const executor = new MigrationExecutor(source);
    const before: string[][] = [];
    for (const migration of await executor.getPendingMigrations()) {
      before.push(await objects());
      await executor.executeMigration(migration);
    }
    const schema = await objects();
    expect(schema).toContain('column sessions.user_id uuid');
    for (const state of before.toReversed()) {
      await source.undoLastMigration();
      expect(await objects()).toEqual(state);
    }
    await source.runMigrations();
    expect(await objects()).toEqual(schema);
  });
});
