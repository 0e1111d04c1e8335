import { existsSync } from 'node:fs';
import { loadKeys } from './config/key-file.js';
import { loadSettings, SettingsError } from './config/load-settings.js';
import type { Settings } from './config/settings.js';
import { createApp } from './app.setup.js';
import { RouteContradiction } from './auth/route-audit.js';
import { migrateDatabase } from './database/migrate.js';
import { CacheFormConflict } from './sessions/revocation-feed.js';
import { seedUsers } from './seeds.js';
import { welcome } from './welcome.js';

type Undo = () => Promise<unknown>;
/** What has been started, to be stopped in the opposite order. */
const undo: Undo[] = [];

async function boot(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const settings = await withDatabase(loadSettings(process.env));
  if (settings.migrateOnBoot) await migrateDatabase(settings.databaseUrl!);
  const app = await createApp(settings, await loadKeys(settings));
  undo.push(() => app.close());
  if (settings.seedUsers) await seedUsers(app);
  await app.listen(settings.port, settings.host);
  if (settings.nodeEnv === 'development') console.log(welcome(settings, await app.getUrl()));
}

/** Without a database of one's own: the embedded one. Its package is a development dependency, so it is loaded only then. */
async function withDatabase(settings: Settings): Promise<Settings> {
  if (settings.databaseUrl) return settings;
  const { startEmbeddedPostgres } = await import('./database/embedded-postgres.js');
  const postgres = await startEmbeddedPostgres({
    dataDir: settings.dataDir,
    log: (line) => console.log(line),
  });
  undo.push(() => postgres.stop());
  return { ...settings, databaseUrl: postgres.url };
}

async function shutDown(code: number): Promise<never> {
  for (const stop of undo.splice(0).reverse()) {
    await stop().catch((error: unknown) => console.error('while stopping:', error));
  }
  process.exit(code);
}

/** What whoever starts the process can mend by themselves needs a sentence, not a stack. */
function explain(error: unknown): unknown {
  const isPlain =
    error instanceof SettingsError ||
    error instanceof RouteContradiction ||
    error instanceof CacheFormConflict;
  if (isPlain) return `Drawbridge does not start:\n  ${error.message.replaceAll('\n', '\n  ')}`;
  const { code, port } = error as { code?: string; port?: number };
  if (code === 'EADDRINUSE')
    return `Drawbridge does not start:\n  PORT ${port} is in use; allowed: a free one, or 0 for any`;
  return error;
}

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) process.exit(1);
    stopping = true;
    void shutDown(0);
  });
}

boot().catch(async (error: unknown) => {
  console.error(explain(error));
  await shutDown(1);
});
