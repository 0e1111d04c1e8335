import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DataSource, type MigrationInterface } from 'typeorm';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { BootError } from '../settings/boot-error.js';
import { PLAIN, type StoreTls } from '../settings/store-tls.js';
import { PostgresClient } from './postgres/postgres-client.js';
import { connectionTo } from './postgres/postgres-connection.js';
import { PostgresPool } from './postgres/postgres-pool.js';
import { requireSuitableServer } from './postgres/server-requirements.js';
import { ADVISORY_LOCKS } from './advisory-locks.js';
import { PRODUCT } from '../../product.js';

type MigrationClass = new () => MigrationInterface;

/**
 * A migration that waits for a table lock blocks all later statements on that table. It is better to fail and try
 * again.
 */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Applies all pending migrations, each in its own transaction. Several instances may call it at the same time: they
 * take turns.
 * @returns the names of the applied migrations
 */
export function migrateDatabase(url: string, tls: StoreTls = PLAIN): Promise<string[]> {
  return inTurn(url, tls, async (source) => (await source.runMigrations()).map(({ name }) => name));
}

/** Works with the migrations while no other process applies or reverts any. */
export async function inTurn<T>(
  url: string,
  tls: StoreTls,
  work: (source: DataSource) => Promise<T>,
): Promise<T> {
  await requireSuitableServer(url, tls);
  const turn = new PostgresClient({
    ...connectionTo(url, tls),
    application_name: PRODUCT.applicationName.migrate,
  });
  await turn.connect();
  try {
    await turn.query('select pg_advisory_lock($1)', [ADVISORY_LOCKS.migration]);
    return await withMigrations({ url, tls }, work);
  } finally {
    await turn.end();
  }
}

/** @throws BootError if the schema is behind this version of the application */
export async function requireMigrated(url: string, tls: StoreTls = PLAIN): Promise<void> {
  await requireSuitableServer(url, tls);
  const isBehind = await withMigrations({ url, tls }, (source) => source.showMigrations());
  if (isBehind)
    throw new BootError(
      'migrations of this version are missing in the database: run `npm run db:migrate` first',
    );
}

async function withMigrations<T>(
  { url, tls }: { url: string; tls: StoreTls },
  work: (source: DataSource) => Promise<T>,
): Promise<T> {
  const source = new DataSource({
    type: 'postgres',
    driver: { Pool: PostgresPool },
    url,
    ssl: connectionTo(url, tls).ssl,
    migrations: await findMigrations(),
    migrationsTransactionMode: 'each',
    installExtensions: false,
    logger: 'debug', // silent: errors are thrown and reported once
    extra: { session: { lock_timeout: LOCK_TIMEOUT_MS } },
  });
  await source.initialize();
  try {
    return await work(source);
  } finally {
    await source.destroy();
  }
}

/**
 * All migrations in the `migrations` folders of the application. Deleting a feature also removes its migrations.
 */
async function findMigrations(): Promise<MigrationClass[]> {
  const root = join(PACKAGE_ROOT, 'dist');
  const files = (await readdir(root, { recursive: true }))
    .filter((file) => /[\\/]migrations[\\/]\d+-[\w-]+\.js$/.test(file))
    .map((file) => join(root, file));
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(file).href)));
  return modules.flatMap((module) => Object.values(module as Record<string, MigrationClass>));
}
