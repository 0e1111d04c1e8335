import { randomBytes } from 'node:crypto';
import pg from 'pg';
import globalTeardown from './global-teardown.mjs';
import { ensureBuilt } from './support/build.mjs';
import { migrateDatabase } from './support/migrate.mjs';

/** Finds or starts the servers, and gives each worker a migrated database by copying a template. */
export default async function globalSetup({ maxWorkers }) {
  ensureBuilt();
  const { findServices, NO_REDIS } = await import('./support/services.mjs');
  const { postgres, redis } = await findServices();
  const run = { services: [postgres, redis].filter(Boolean), server: postgres.url, databases: [] };
  globalThis.drawbridgeTestRun = run;
  try {
    const name = `drawbridge_test_${randomBytes(4).toString('hex')}`;
    await createDatabases(run, name, maxWorkers);
    process.env.DRAWBRIDGE_TEST_DATABASE_URL_STEM = withPath(postgres.url, `${name}_w`);
    process.env.DRAWBRIDGE_TEST_DATABASE_ORIGIN = postgres.origin;
    if (redis) process.env.DRAWBRIDGE_TEST_REDIS_URL_STEM = withPath(redis.url, '');
    else delete process.env.DRAWBRIDGE_TEST_REDIS_URL_STEM;
    process.env.DRAWBRIDGE_TEST_REDIS_ORIGIN = redis?.origin ?? NO_REDIS;
  } catch (error) {
    await globalTeardown(); // Jest leaves it out when the setup fails
    throw error;
  }
}

/** All databases are new: a server from the environment may hold data, and no test writes to it. */
async function createDatabases(run, name, workers) {
  const client = new pg.Client({ connectionString: run.server });
  await client.connect();
  try {
    const create = async (database, source) => {
      await client.query(`CREATE DATABASE ${database} TEMPLATE ${source}`);
      run.databases.push(database);
    };
    await create(`${name}_template`, "template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'");
    await migrateDatabase(withPath(run.server, `${name}_template`));
    for (let worker = 1; worker <= workers; worker++) await create(`${name}_w${worker}`, `${name}_template`);
  } finally {
    await client.end();
  }
}

function withPath(base, path) {
  const url = new URL(base);
  url.pathname = `/${path}`;
  return url.href;
}
