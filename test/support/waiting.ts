import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestApp } from './app.js';

/** Reached only by a failing test, because a busy machine delays everything. */
const DEADLINE_MS = Number(process.env['WAIT_DEADLINE_MS'] ?? 120_000);
const PAUSE_MS = 10;

/**
 * Repeats the check until it throws no error, and returns its result. At the deadline the test fails with the last
 * error.
 */
export async function eventually<T>(ask: () => T | Promise<T>, deadline = DEADLINE_MS): Promise<T> {
  for (const end = Date.now() + deadline; ; await sleep(PAUSE_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** A barrier for async code, which waits until another part of the test opens it. */
export class Gate {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

/** Resolves when so many transactions of the app's database wait for a lock of another one. */
export async function untilBlocked({ query }: Pick<TestApp, 'query'>, count: number): Promise<void> {
  await eventually(async () => {
    const [waiting] = await query<{ count: number }>(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (waiting!.count < count) throw new Error(`${waiting!.count} of ${count} wait for a lock`);
  });
}

/** Resolves when a transaction waits for a lock of this one. */
export async function untilBlockedBy(holder: pg.Client): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await holder.query(
      'select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))',
    );
    if (rowCount === 0) throw new Error('no transaction waits for the lock');
  });
}

const connections: pg.Client[] = [];

/** A connection of the test itself, for transactions that stay open as long as the test needs them. */
export async function connect(url = process.env['TEST_DATABASE_URL']): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  connections.push(client);
  await client.connect();
  return client;
}

/** Ends them all, for `afterEach`: a failed test must not leave its locks to the next one. */
export async function disconnect(): Promise<void> {
  await Promise.all(connections.splice(0).map((client) => client.end()));
}
