import type { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';

/** SQLSTATE `lock_not_available`: PostgreSQL reports it after `lock_timeout`. */
const LOCK_NOT_AVAILABLE = '55P03';
/** The other connections of the pool stay available for transactions whose locks are free. */
const SHARE_OF_POOL = 1 / 2;

const waiting = new WeakMap<DataSource, number>();

/** Another transaction holds the lock, and waiting would occupy too many connections. */
class TooManyWait extends Error {
  readonly code = LOCK_NOT_AVAILABLE;

  constructor() {
    super('too many transactions are waiting for locks');
  }
}

/**
 * Waits in PostgreSQL for a lock that is not free. At most half of a pool's connections wait at once.
 * @throws an error that {@link isLockTimeout} recognises
 */
export async function waitForLock<T>(database: DataSource, lock: () => Promise<T>): Promise<T> {
  const count = waiting.get(database) ?? 0;
  if (count >= Math.max(1, Math.floor(poolSizeOf(database) * SHARE_OF_POOL))) throw new TooManyWait();
  waiting.set(database, count + 1);
  try {
    return await lock();
  } finally {
    waiting.set(database, waiting.get(database)! - 1);
  }
}

/** Whether a statement failed because a lock was not free in time. Its transaction can be run again. */
export function isLockTimeout(error: unknown): boolean {
  const cause = (error as { driverError?: unknown } | null)?.driverError ?? error;
  return (cause as { code?: unknown } | null)?.code === LOCK_NOT_AVAILABLE;
}

/** Maximum number of connections in the pool of a data source. */
export function poolSizeOf({ options }: DataSource): number {
  return (options as PostgresDataSourceOptions).poolSize!;
}
