import type { ClientBase } from 'pg';

/** Tables that instances may only read and append to. */
const APPEND_ONLY = ['audit_events', 'audit_chain'];

/**
 * Grants a role exactly the rights that an instance needs in this database. It can read and write the tables of the
 * application, but not change the schema, and it can neither change nor delete audit records. The owner of the tables
 * runs this after each migration.
 * @throws a PostgreSQL error if the role does not exist
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
