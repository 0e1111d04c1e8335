import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { Clock } from '../runtime/clock.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { Jobs } from '../jobs/jobs.js';
import { ScheduledJobRepository } from '../jobs/scheduled-job.repository.js';
import { AccountDeletions } from './account-deletions.js';
import { DemoRows } from './demo-rows.js';
import { connectionTo } from './postgres/postgres-connection.js';
import { PostgresPool } from './postgres/postgres-pool.js';
import { InstanceMessages } from './instance-messages.js';
import { RevocationDatabase } from './revocation-database.js';
import { requireSuitableServer } from './postgres/server-requirements.js';
import { RevocationTransactions, UserTransactions } from './user-transactions.js';
import { PRODUCT } from '../../product.js';

/** Separate connections for session checks, so that a slow report cannot delay them. */
export const CHECK_POOL = Symbol('CHECK_POOL');
/** The connections of all other code, without TypeORM, for frequent statements, see {@link Prepared}. */
export const MAIN_POOL = Symbol('MAIN_POOL');

/**
 * A named statement. PostgreSQL plans it once for each connection instead of at each execution; planning is most of
 * the cost of a short one. Names are unique and have at most 63 characters.
 */
export interface Prepared {
  name: string;
  text: string;
}

/** Few connections suffice, because one statement serves all checks of a turn of the event loop. */
const CHECK_CONNECTIONS = 3;
/**
 * By default the driver closes each connection that was idle for ten seconds. On a quiet server the next request
 * would then wait for a new one. Keep-alive packets every 30 seconds prevent network devices from dropping idle
 * connections.
 */
const KEPT = { keepAlive: true, keepAliveInitialDelayMillis: 30_000, idleTimeoutMillis: 60_000 };
/** Number of main connections that stay open beyond the idle timeout. */
const KEPT_CONNECTIONS = 2;
/** Timeouts in ms. A database that does not answer in time is unavailable, and the client gets a 503. */
const CONNECT_TIMEOUT_MS = 2_000;
const CHECK_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 10_000;
/**
 * Shorter than {@link CONNECT_TIMEOUT_MS}, so that a transaction that waits for a connection gets one before it gives
 * up. See `UserTransactions`.
 */
const LOCK_TIMEOUT_MS = 1_000;
/**
 * For a list parameter PostgreSQL assumes ten elements, and would plan again at each execution with a shorter list.
 */
const PLAN_ONCE = { plan_cache_mode: 'force_generic_plan' };

const logLostConnection = (logger: Logger) => (error: Error) =>
  logger.warn({ err: error }, 'a connection to PostgreSQL was lost');

@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [Settings, LOGGER],
      useFactory: async (settings: Settings, logger: Logger) => {
        await requireSuitableServer(settings.databaseUrl!, settings);
        return {
          type: 'postgres',
          driver: { Pool: PostgresPool },
          poolErrorHandler: logLostConnection(logger),
          url: settings.databaseUrl,
          ssl: connectionTo(settings.databaseUrl!, settings).ssl,
          autoLoadEntities: true,
          synchronize: false,
          installExtensions: false,
          logging: false,
          applicationName: PRODUCT.applicationName.main,
          poolSize: settings.databasePoolSize,
          retryAttempts: 5,
          retryDelay: 1_000,
          invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' },
          extra: {
            connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
            query_timeout: STATEMENT_TIMEOUT_MS,
            session: {
              statement_timeout: STATEMENT_TIMEOUT_MS,
              lock_timeout: LOCK_TIMEOUT_MS,
              idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
            },
            ...KEPT,
            min: KEPT_CONNECTIONS,
          },
        };
      },
    }),
  ],
  providers: [
    AccountDeletions,
    DemoRows,
    InstanceMessages,
    Jobs,
    ScheduledJobRepository,
    {
      provide: MAIN_POOL,
      inject: [DataSource],
      useFactory: ({ driver }: DataSource) => (driver as PostgresDriver).master as pg.Pool,
    },
    {
      provide: RevocationDatabase,
      inject: [DataSource],
      useFactory: (main: DataSource) => RevocationDatabase.connect(main),
    },
    {
      provide: UserTransactions,
      inject: [DataSource, Clock],
      useFactory: (database: DataSource, clock: Clock) => new UserTransactions(database, clock),
    },
    {
      provide: RevocationTransactions,
      inject: [RevocationDatabase, Clock],
      useFactory: (database: DataSource, clock: Clock) => new RevocationTransactions(database, clock),
    },
    {
      provide: CHECK_POOL,
      inject: [Settings, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => {
        const pool = new PostgresPool({
          ...connectionTo(settings.databaseUrl!, settings),
          application_name: PRODUCT.applicationName.check,
          max: CHECK_CONNECTIONS,
          min: CHECK_CONNECTIONS,
          connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
          query_timeout: CHECK_TIMEOUT_MS,
          session: { statement_timeout: CHECK_TIMEOUT_MS, ...PLAN_ONCE },
          ...KEPT,
        });
        pool.on('error', logLostConnection(logger));
        return pool;
      },
    },
  ],
  exports: [
    AccountDeletions,
    CHECK_POOL,
    DemoRows,
    InstanceMessages,
    MAIN_POOL,
    Jobs,
    RevocationDatabase,
    RevocationTransactions,
    UserTransactions,
  ],
})
export class PersistenceModule implements OnApplicationShutdown {
  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly revocations: RevocationDatabase,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
    await this.revocations.destroy();
  }
}
