import pg from 'pg';
import { BootError } from '../../settings/boot-error.js';
import { PLAIN, type StoreTls } from '../../settings/store-tls.js';
import { connectionTo } from './postgres-connection.js';
import { PRODUCT } from '../../../product.js';

const TIMEOUT_MS = 10_000;
/**
 * A pooler that shares server connections shows it in the first round, unless other clients use it at the same
 * moment.
 */
const ROUNDS = 20;

/**
 * Checks conditions that connections cannot correct by their settings.
 * @throws BootError if the database is not in UTF-8, or if a pooler does not keep sessions
 */
export async function requireSuitableServer(url: string, tls: StoreTls = PLAIN): Promise<void> {
  const opened: pg.Client[] = [];
  const open = async () => {
    // Not a PostgresClient: behind such a pooler, its settings would leak into the sessions of other clients.
    const client = new pg.Client({
      ...connectionTo(url, tls),
      application_name: PRODUCT.applicationName.boot,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
    });
    client.on('error', () => undefined);
    opened.push(client);
    await client.connect();
    return client;
  };
  try {
    const client = await open();
    const { encoding, pid } = await ask(client);
    if (encoding !== 'UTF8') throw new BootError(notUtf8(encoding));
    // A pooler reports its own process id for cancel requests; `pg_backend_pid()` returns that of the session.
    const isPooled = pid !== (client as pg.Client & { processID: number }).processID;
    if (isPooled && !(await keepsSessions(client, await open()))) throw new BootError(SHARED_SESSIONS);
  } finally {
    await Promise.all(opened.map((client) => client.end().catch(() => undefined)));
  }
}

/**
 * Whether each of two connected clients has its own session, the same one at every statement. A pooler that reuses
 * the last connection gives the same one to both clients. A pooler that takes turns gives a different one to the
 * second of two statements.
 */
async function keepsSessions(one: pg.Client, other: pg.Client): Promise<boolean> {
  const { pid } = await ask(one);
  for (let round = 0; round < ROUNDS; round++) {
    const [again, others] = [await ask(one), await ask(other)];
    if (again.pid !== pid || others.pid === pid) return false;
  }
  return true;
}

async function ask(client: pg.Client): Promise<{ encoding: string; pid: number }> {
  const { rows } = await client.query<{ encoding: string; pid: number }>(
    `select pg_catalog.current_setting('server_encoding') as encoding, pg_catalog.pg_backend_pid() as pid`,
  );
  return rows[0]!;
}

const notUtf8 = (encoding: string): string =>
  `DATABASE_URL names a database with the encoding ${encoding}, which cannot store all names and texts; ` +
  'allowed: UTF8 (`create database … encoding UTF8 template template0`)';

const SHARED_SESSIONS =
  'DATABASE_URL leads to a connection pooler that uses another session for each transaction or statement, ' +
  `as PgBouncer does with pool_mode=transaction. ${PRODUCT.name} requires lasting sessions: it listens for revocations, ` +
  'prepares statements, takes advisory locks and sets timeouts. ' +
  'Allowed: the address of PostgreSQL itself, or of a pool with pool_mode=session';
