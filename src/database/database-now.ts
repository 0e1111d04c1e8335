import type { EntityManager } from 'typeorm';
import type { Clock } from '../common/clock.js';

/**
 * The database's time at this statement, not at the beginning of the transaction: after a lock was
 * waited for, it is later than anything that its holder wrote.
 */
export async function databaseNow(tx: EntityManager, clock: Clock): Promise<Date> {
  const [row] = await tx.query<{ now: Date }[]>('select clock_timestamp() as now');
  return new Date(clock.fromDatabase(row!.now));
}
