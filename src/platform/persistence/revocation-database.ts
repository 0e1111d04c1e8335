import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { PRODUCT } from '../../product.js';

/** A revocation takes some milliseconds, so few connections serve many. */
const CONNECTIONS = 2;
const CONNECT_ATTEMPTS = 6;
const CONNECT_PAUSE_MS = 1_000;

/**
 * A second pool, for the transactions that end sessions. Slow reports and long waits for locks can exhaust the main
 * pool, but a revocation still gets a connection.
 */
export class RevocationDatabase extends DataSource {
  constructor(main: DataSource) {
    const options = main.options as PostgresDataSourceOptions;
    super({
      ...options,
      applicationName: PRODUCT.applicationName.revocations,
      poolSize: CONNECTIONS,
      extra: { ...(options.extra as object), min: 1 },
    });
  }

  /** Tries several times, as Nest does for the main pool. */
  static async connect(main: DataSource): Promise<RevocationDatabase> {
    const database = new RevocationDatabase(main);
    for (let attempt = 1; ; attempt++) {
      try {
        await database.initialize();
        return database;
      } catch (error) {
        if (attempt === CONNECT_ATTEMPTS) throw error;
        await sleep(CONNECT_PAUSE_MS);
      }
    }
  }

  /** The same connections, without TypeORM. */
  get pool(): pg.Pool {
    return (this.driver as PostgresDriver).master as pg.Pool;
  }
}
