import pg from 'pg';
import { PostgresClient, type PostgresConfig } from './postgres-client.js';

export type PostgresPoolConfig = pg.PoolConfig & PostgresConfig;

/** A pool of {@link PostgresClient}s. It takes back only connections that are ready for the next user. */
export class PostgresPool extends pg.Pool {
  constructor(config: PostgresPoolConfig) {
    super({ ...config, Client: PostgresClient });
    this.on('error', () => undefined);
    this.on('release', (error, client) => {
      if (!error && isBusy(client)) {
        const unfit = new Error(
          'Connection terminated: it was released in the middle of a transaction or statement',
        );
        (client as pg.Client as PostgresClient).discard(unfit);
      }
    });
  }
}

/**
 * After a statement that timed out, its transaction may still be open, and the next user of the connection would
 * commit it.
 */
function isBusy(client: pg.PoolClient): boolean {
  const { readyForQuery } = client as pg.PoolClient & { readyForQuery: boolean };
  return !readyForQuery || client.getTransactionStatus() !== 'I';
}
