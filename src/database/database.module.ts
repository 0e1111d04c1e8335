import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { Clock } from '../common/clock.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Chores } from './chores.js';
import { connectionTo } from './postgres-connection.js';
import { PostgresPool } from './postgres-pool.js';
import { RevocationDatabase } from './revocation-database.js';
import { requireSuitableServer } from './server-requirements.js';
import { RevocationTransactions, UserTransactions } from './user-transactions.js';

/** Connections of their own for session checks: a slow report cannot keep anybody from being let in or refused. */
export const CHECK_POOL = Symbol('CHECK_POOL');
/** The connections of everything else, without TypeORM: for a statement that is asked all the time, see {@link Prepared}. */
export const MAIN_POOL = Symbol('MAIN_POOL');

/**
 * PostgreSQL plans a statement that has a name once for each connection, and not each time it is asked: planning is most of
 * what a short one costs. Names are unique, and of at most 63 characters.
 */
export interface Prepared {
  name: string;
  text: string;
}

/** Checks come in batches, one statement for all of a turn, so few connections carry many. */
const CHECK_CONNECTIONS = 3;
/**
 * The driver would close each connection that nobody has used for ten seconds, and on a quiet server the next request would wait
 * for a new one. What lies between hears of these every half minute, so that it does not forget them either.
 */
const KEPT = { keepAlive: true, keepAliveInitialDelayMillis: 30_000, idleTimeoutMillis: 60_000 };
/** Of everything else's, so many stay open for longer than that. */
const KEPT_CONNECTIONS = 2;
/** A database that is silent for longer than this is unavailable, and that is answered. */
const CONNECT_TIMEOUT_MS = 2_000;
const CHECK_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 10_000;
/** Shorter than {@link CONNECT_TIMEOUT_MS}: who waits for a connection gets it before it gives up. See `UserTransactions`. */
const LOCK_TIMEOUT_MS = 1_000;
/** Of a list that may have any length PostgreSQL expects ten, and would plan each time for one that is shorter. */
const PLAN_ONCE = { plan_cache_mode: 'force_generic_plan' };

const logLostConnection = (logger: Logger) => (error: Error) =>
  logger.warn({ err: error }, 'a connection to PostgreSQL was lost');

@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [SETTINGS_TOKEN, LOGGER],
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
          applicationName: 'drawbridge',
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
    Chores,
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
      inject: [SETTINGS_TOKEN, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => {
        const pool = new PostgresPool({
          ...connectionTo(settings.databaseUrl!, settings),
          application_name: 'drawbridge-check',
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
  exports: [CHECK_POOL, MAIN_POOL, Chores, RevocationDatabase, RevocationTransactions, UserTransactions],
})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly revocations: RevocationDatabase,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
    await this.revocations.destroy();
  }
}
