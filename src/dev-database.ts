import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PostgresClient } from './platform/persistence/postgres/postgres-client.js';
import { PACKAGE_ROOT } from './platform/runtime/package-root.js';
import { BootError } from './platform/settings/boot-error.js';
import { loadSettings } from './platform/settings/load-settings.js';
import { PRODUCT } from './product.js';

/** A package for development, which the image and the bundle do not contain. `npm start` builds it. */
const DEV_POSTGRES = join(PACKAGE_ROOT, 'packages/dev-postgres/dist/embedded-postgres.js');

interface DevDatabase {
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts the embedded PostgreSQL of `packages/dev-postgres`, or joins it.
 * @throws BootError when it is not available; `DATABASE_URL` then has to be set
 */
export async function startDevDatabase(dataDir: string, log: (line: string) => void): Promise<DevDatabase> {
  if (!existsSync(DEV_POSTGRES))
    throw new BootError(
      'DATABASE_URL is not set, and the embedded PostgreSQL is not built: set DATABASE_URL, or run `npm start`.',
    );
  const { startEmbeddedPostgres } = (await import(pathToFileURL(DEV_POSTGRES).href)) as {
    startEmbeddedPostgres(options: object): Promise<DevDatabase>;
  };
  const options = { dataDir: join(dataDir, 'postgres'), names: PRODUCT.embeddedPostgres, log };
  const postgres = await startEmbeddedPostgres(options).catch((error: Error) => {
    throw error.name === 'EmbeddedPostgresError' ? new BootError(error.message, { cause: error }) : error;
  });
  return { url: postgres.url, stop: () => stopUnlessShared(postgres) };
}

/**
 * For `dev.js`: starts the embedded PostgreSQL if the server would, and keeps it running when a server stops.
 * @returns undefined when the settings name a database
 */
export async function holdDevDatabase(
  log: (line: string) => void,
): Promise<{ stop(): Promise<void> } | undefined> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { databaseUrl, dataDir } = loadSettings(process.env);
  if (databaseUrl) return undefined;
  const postgres = await startDevDatabase(dataDir, log);
  // `stopUnlessShared` of the server finds this connection.
  const held = new PostgresClient({
    connectionString: postgres.url,
    application_name: `${PRODUCT.slug}-dev`,
  });
  held.on('error', () => undefined);
  await held.connect();
  return { stop: () => held.end().then(() => postgres.stop()) };
}

/** Instances that share a Redis may share an embedded PostgreSQL: only the last one stops it. */
async function stopUnlessShared(postgres: DevDatabase): Promise<void> {
  const client = new PostgresClient({ connectionString: postgres.url });
  await client.connect();
  const others = await client
    .query('select from pg_stat_activity where application_name like $1', [`${PRODUCT.slug}%`])
    .finally(() => client.end());
  if (others.rowCount === 0) await postgres.stop();
}
