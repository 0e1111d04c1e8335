import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino, type Logger } from 'pino';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.setup.js';
import type { Keys } from '../../src/platform/keys/key-format.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { DEMO_PASSWORD, DEMO_USERS, seedUsers } from '../../src/seeds.js';
import { Client } from './client.js';
import { TestClock } from './clock.js';
import { PRODUCT } from '../../src/product.js';
import { ProbeModule } from './probe-routes.js';

export const PASSWORD = DEMO_PASSWORD;
export const [ADMIN, ALICE, BOB] = DEMO_USERS as [DemoUser, DemoUser, DemoUser];
type DemoUser = (typeof DEMO_USERS)[number];

/** One key set for the file, so that instances accept each other's tokens. */
export const TEST_KEYS: Keys = {
  signing: [{ kid: 'test-key', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
  refreshSecrets: [{ secret: randomBytes(32) }],
  encryption: [{ id: 'test-key', key: randomBytes(32) }],
};

export interface TestApp {
  app: NestFastifyApplication;
  clock: TestClock;
  /** A new client with an empty jar. */
  client(): Client;
  query<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  get: NestFastifyApplication['get'];
  close(): Promise<void>;
}

export interface TestAppOptions {
  /** Environment variables on top of the tests' own; REDIS_URL: undefined for the in-process cache. */
  env?: Record<string, string | undefined>;
  clock?: TestClock;
  logger?: Logger;
  keys?: Keys;
  /** Modules beside the product's own; the probe routes when absent. */
  features?: Type[];
}

/** The application as it is served, in this process, on the worker's real PostgreSQL and (where there is one) Redis. */
export async function startApp({
  env = {},
  clock = new TestClock(),
  logger,
  keys = TEST_KEYS,
  features = [ProbeModule],
}: TestAppOptions = {}): Promise<TestApp> {
  const settings = loadSettings({
    NODE_ENV: 'test',
    DATABASE_URL: process.env['TEST_DATABASE_URL'],
    REDIS_URL: process.env['TEST_REDIS_URL'],
    API_DOCS: 'false',
    CONSOLE: 'off',
    // Tests log in without limits; `throttling.spec.ts` turns limits on.
    RATE_LIMITS: 'off',
    // The maximum: on a busy machine a healthy Redis may take longer than the 50 ms of production.
    CACHE_BUDGET: '1s',
    DATA_DIR: join(tmpdir(), `drawbridge-test-${process.pid}`),
    ...env,
  });
  const app = await createApp(settings, keys, {
    clock,
    logger: logger ?? pino({ level: 'silent' }),
    features,
  });
  if (settings.seedUsers) await seedUsers(app);
  const database = app.get(DataSource);
  return {
    app,
    clock,
    client: () => new Client(app),
    query: (sql, parameters) => database.query(sql, parameters),
    get: app.get.bind(app),
    close: () => app.close(),
  };
}

/**
 * Returns the clock to the real time after a test that advanced it. A clock that goes back is corrected until the instance has
 * compared it with the database's, so the comparison is made at once.
 */
export async function resetClock({ clock, get }: Pick<TestApp, 'clock' | 'get'>): Promise<void> {
  clock.advance(Date.now() - clock.now());
  await get(RevocationSubscriber).catchUp();
}

/** Turns periodic work of an instance off, for tests that wait for the next commit, or for mails. */
export function holdBackgroundWork(app: Pick<TestApp, 'get'>): void {
  app.get(Jobs).stop('mail-outbox', 'account-jobs', 'audit-chain');
}

/**
 * Empties the worker's database; call it before the first app of a file. Redis stays unchanged: its keys belong to
 * sessions that no longer exist, and another application may use it.
 */
export async function resetStores(): Promise<void> {
  const client = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
  await client.connect();
  await client.query(
    `set ${PRODUCT.auditRetention} = 'on';
     truncate users, devices, sessions, revocations, audit_events, audit_chain, mails, scheduled_jobs,
       used_passkey_challenges, api_keys restart identity cascade`,
  );
  await client.query(`update session_epoch set not_before = '-infinity'`);
  await client.end();
}
