import type { TestApp } from './app.js';

const TABLES = ['users', 'sessions', 'devices', 'api_keys', 'probe_payments', 'mailed_tokens', 'revocations'];
const ROWS = TABLES.map(
  (table) => `
  select '${table}' as table, count(*)::int as rows, md5(string_agg(row, '' order by row)) as digest
  from (select (to_jsonb(t) - 'last_seen_at' #- '{superseded_keys,delivered}')::text as row from ${table} t) s`,
);

/**
 * The data of a user that a request could change, in a form to compare. Two marks of use are left out: when a
 * session was last seen, and that its new keys have been shown.
 */
export function everythingStored({ query }: Pick<TestApp, 'query'>): Promise<unknown> {
  return query(ROWS.join(' union all '));
}
