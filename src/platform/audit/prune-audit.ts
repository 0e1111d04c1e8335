import type { ClientBase } from 'pg';
import { PRODUCT } from '../../product.js';
import { deleteEventsSealedBefore } from './audit-event.repository.js';

/**
 * Removes the events of all seals that were made before the given time. The seals stay, so that the hash chain stays
 * complete. The database role needs the right to delete from the audit log, which instances do not have.
 *
 * @returns how many events it removed
 */
export async function pruneAudit(client: Pick<ClientBase, 'query'>, before: Date): Promise<number> {
  await client.query('begin');
  await client.query(`set local ${PRODUCT.auditRetention} = 'on'`);
  const removed = await deleteEventsSealedBefore(client, before);
  await client.query('commit');
  return removed;
}
