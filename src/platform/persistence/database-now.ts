import type { EntityManager } from 'typeorm';
import type { Clock } from '../runtime/clock.js';

/**
 * The database's time at this statement, not at the start of the transaction. After a wait for a lock it is later
 * than all times that the former owner of the lock wrote.
 */
export async function databaseNow(tx: EntityManager, clock: Clock): Promise<Date> {
  const [row] = await tx.query<{ now: Date }[]>('select clock_timestamp() as now');
  return new Date(clock.fromDatabase(row!.now));
}
