import { existsSync } from 'node:fs';
import { Clock } from './platform/runtime/clock.js';
import { LOGGER, type Logger } from './platform/logging/logger.js';
import { releaseStartupHeap } from './platform/performance/release-startup-heap.js';
import { Jobs } from './platform/jobs/jobs.js';
import { loadKeys } from './platform/keys/key-file.js';
import { RELOAD_INTERVAL_MS } from './platform/keys/key-schedule.js';
import { KeyFileWatcher, KeyStore } from './platform/keys/key-store.js';
import { loadSettings } from './platform/settings/load-settings.js';
import { settingsForLog } from './platform/settings/feature-settings.js';
import type { Settings } from './platform/settings/settings.js';
import { createApp } from './app.setup.js';
import { startDevDatabase } from './dev-database.js';
import { migrateDatabase, requireMigrated } from './platform/persistence/migrate.js';
import { reasonOf } from './platform/runtime/failure.js';
import { close, listen } from './platform/http/listen.js';
import { refuseDemoUsers, seedRows, seedUsers } from './seeds.js';
import { startupBanner } from './startup-banner.js';
import { PRODUCT } from './product.js';

type Undo = () => Promise<unknown>;
/** Shutdown steps of the started parts. They run in reverse order. */
const undo: Undo[] = [];

async function boot(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const given = loadSettings(process.env);
  const keys = await loadKeys(given);
  const settings = await withDatabase(given);
  await (settings.migrateOnBoot ? migrateDatabase : requireMigrated)(settings.databaseUrl!, settings);
  const app = await createApp(settings, keys);
  const keyFile = new KeyFileWatcher(settings, app.get(KeyStore), app.get(Clock), app.get(LOGGER));
  const poll = () => keyFile.poll();
  app.get(Jobs).every({ name: 'key-file', interval: RELOAD_INTERVAL_MS, scope: 'instance', run: poll });
  undo.push(() => close(app, settings));
  if (settings.seedUsers) await seedUsers(app);
  if (settings.seedUsers && settings.nodeEnv === 'development') await seedRows(app);
  if (settings.nodeEnv === 'production') await refuseDemoUsers(app);
  releaseStartupHeap();
  await listen(app, settings);
  const url = await app.getUrl();
  if (settings.nodeEnv === 'development') console.log(startupBanner(settings, url));
  process.send?.('ready'); // `dev.js`, and process managers that wait for it
  const logger = app.get<Logger>(LOGGER);
  // No request waits for such a promise, so no answer depends on it: the error is logged, and the server continues
  // (ASVS 16.5.4).
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'unhandled promise rejection'));
  const level = settings.nodeEnv === 'development' ? 'debug' : 'info';
  logger[level]({ event: 'sys_startup', settings: settingsForLog(settings), url }, `${PRODUCT.name} listens`);
  undo.push(async () => logger.info({ event: 'sys_shutdown' }, `${PRODUCT.name} is stopping`));
}

/** If `DATABASE_URL` is not set, starts the embedded PostgreSQL. */
async function withDatabase(settings: Settings): Promise<Settings> {
  if (settings.databaseUrl) return settings;
  const postgres = await startDevDatabase(settings.dataDir, console.log);
  undo.push(() => postgres.stop());
  return { ...settings, databaseUrl: postgres.url };
}

async function shutDown(code: number): Promise<never> {
  for (const stop of undo.splice(0).reverse()) {
    await stop().catch((error: unknown) => console.error('while stopping:', error));
  }
  process.exit(code);
}

function explain(error: unknown): unknown {
  const reason = reasonOf(error);
  return reason === null ? error : `${PRODUCT.name} cannot start:\n  ${reason.replaceAll('\n', '\n  ')}`;
}

let stopping = false;
// When a terminal closes, it sends SIGHUP, and later writes to it fail.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
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
