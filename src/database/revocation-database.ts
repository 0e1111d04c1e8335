import type pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';

/** A revocation takes some milliseconds, so a few connections serve many. */
const CONNECTIONS = 2;

/**
 * A second pool, for the transactions that end sessions. Slow reports and long waits for locks can use up the main pool:
 * a revocation still gets a connection.
 */
export class RevocationDatabase extends DataSource {
  constructor(main: DataSource) {
    const options = main.options as PostgresDataSourceOptions;
    super({
      ...options,
      applicationName: 'drawbridge-revocations',
      poolSize: CONNECTIONS,
      extra: { ...(options.extra as object), min: 1 },
    });
  }

  /** The same connections, without TypeORM. */
  get pool(): pg.Pool {
    return (this.driver as PostgresDriver).master as pg.Pool;
  }
}
