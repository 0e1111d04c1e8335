import pg from 'pg';

/** The table of `probe-routes.ts`. */
const PROBE_TABLE = `
  create table if not exists probe_payments (
    id              uuid primary key,
    user_id         uuid not null references users,
    session_id      uuid not null,
    idempotency_key text not null,
    amount          bigint not null,
    currency        text not null,
    recipient       text not null,
    created_at      timestamptz(3) not null,
    unique (user_id, idempotency_key)
  )`;

/** Brings a database of the tests to the schema of the build, and adds the table of the probe routes. */
export async function migrateDatabase(url) {
  const { migrateDatabase: migrate } = await import('../../dist/platform/persistence/migrate.js');
  const applied = await migrate(url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(PROBE_TABLE);
  } finally {
    await client.end();
  }
  return applied;
}
