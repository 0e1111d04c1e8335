import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pg from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';

type MigrationClass = new () => MigrationInterface;

/** Any number: it only has to be the same for every process that migrates. */
const MIGRATION_LOCK = 7_263_401;

/**
 * Applies what has not been applied yet, each migration in a transaction of its own. Safe to call
 * from several instances at once: they take turns.
 * @returns the names of the migrations that were applied
 */
export async function migrateDatabase(url: string): Promise<string[]> {
  const turn = new pg.Client({ connectionString: url, application_name: 'drawbridge-migrate' });
  await turn.connect();
  try {
    await turn.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const source = new DataSource({
      type: 'postgres',
      url,
      migrations: await findMigrations(),
      migrationsTransactionMode: 'each',
      installExtensions: false,
    });
    await source.initialize();
    try {
      return (await source.runMigrations()).map((migration) => migration.name);
    } finally {
      await source.destroy();
    }
  } finally {
    await turn.end();
  }
}

/** Every `migrations` folder of the application: deleting `examples/` takes its tables' with it. */
async function findMigrations(): Promise<MigrationClass[]> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const files = (await readdir(root, { recursive: true }))
    .filter((file) => /[\\/]migrations[\\/]\d+-[\w-]+\.js$/.test(file))
    .map((file) => join(root, file));
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(file).href)));
  return modules.flatMap((module) => Object.values(module as Record<string, MigrationClass>));
}
