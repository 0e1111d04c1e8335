import type { ClientBase } from 'pg';
import { PRODUCT } from '../../product.js';

/**
 * Removes the events of all seals that were made before the given time. The seals stay, so that the hash chain stays
 * complete. The database role needs the right to delete from the audit log, which instances do not have.
 *
 * @returns how many events it removed
 */
export async function pruneAudit(client: Pick<ClientBase, 'query'>, before: Date): Promise<number> {
  await client.query('begin');
  await client.query(`set local ${PRODUCT.auditRetention} = 'on'`);
  const { rowCount } = await client.query(
    `delete from audit_events e using audit_chain s
     where s.at < $1 and e.id >= lower(s.events) and e.id < upper(s.events) and e.id <@ s.events`,
    [before],
  );
  await client.query('commit');
  return rowCount ?? 0;
}
