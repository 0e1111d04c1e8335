import type { ClientBase } from 'pg';

/** What instances do nothing to but add and read. */
const APPEND_ONLY = ['audit_events', 'audit_seals'];

/**
 * Gives a role what an instance needs of this database and no more: it reads and writes the tables of the application,
 * changes no schema, and can neither change nor remove what the audit log says. Run by their owner, after each migration.
 * @throws when there is no such role
 */
export async function grantToApp(
  client: Pick<ClientBase, 'query' | 'escapeIdentifier'>,
  role: string,
): Promise<void> {
  const to = client.escapeIdentifier(role);
  await client.query('begin');
  await client.query(`
    revoke create on schema public from public;
    revoke all on all tables in schema public from ${to};
    grant usage on schema public to ${to};
    grant select, insert, update, delete on all tables in schema public to ${to};
    grant usage, select on all sequences in schema public to ${to};
    revoke update, delete on ${APPEND_ONLY.join()} from ${to};
    revoke insert, update, delete on migrations from ${to};`);
  await client.query('commit');
}
