import { callbackify } from 'node:util';
import pg from 'pg';
import { failedConnections, isConnectionSpent } from '../database-problem.js';

/** Settings of a PostgreSQL session, by their PostgreSQL names. */
export type SessionSettings = Readonly<Record<string, string | number>>;

export interface PostgresConfig extends pg.ClientConfig {
  /** In addition to the settings of every session. */
  session?: SessionSettings;
}

/**
 * The settings that parsing, locking and timeouts rely on, because a role, a database or a server may define others.
 * `search_path` is not set: the operator decides where the tables are. The driver itself requests UTF-8.
 */
const PINNED: SessionSettings = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: 1,
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  statement_timeout: 0,
  lock_timeout: 0,
  idle_in_transaction_session_timeout: 0,
  idle_session_timeout: 0,
  /** Since PostgreSQL 17. */
  transaction_timeout: 0,
};

/**
 * Sets the session settings by a statement, because poolers such as PgBouncer refuse or drop start-up parameters. It
 * skips settings that the server does not know. It also asks, under these settings, whether the session can write, as
 * `target_session_attrs=read-write` does.
 *
 * `synchronous_commit = off` becomes `on`: otherwise a crash of PostgreSQL loses acknowledged revocations. The operator
 * chooses among the other values, which concern standbys.
 */
const PREPARE = `
  select (select count(pg_catalog.set_config(name, value, false)) from unnest($1::text[], $2::text[]) as s (name, value)
      where pg_catalog.current_setting(name, true) is not null),
    case pg_catalog.current_setting('synchronous_commit')
      when 'off' then pg_catalog.set_config('synchronous_commit', 'on', false) end,
    pg_catalog.current_setting('transaction_read_only') as "readOnly"`;

const END_SESSION = 'select pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())';

/** The server is a standby or a demoted primary, or is configured to take no writes. */
export class ReadOnlySession extends Error {
  override readonly name = 'ReadOnlySession';
  /** `read_only_sql_transaction`, as PostgreSQL would answer to a write. */
  readonly code = '25006';

  constructor() {
    super('this PostgreSQL does not accept writes: it is a standby, or default_transaction_read_only is on');
  }
}

/**
 * A connection to PostgreSQL. All connections of the application are of this class, including those of pools.
 *
 * - Its end is never an uncaught `error` event: pools and TypeORM attach their listeners late and remove them early.
 * - `connect()` resolves when the session has its settings and has proved that it can write.
 * - It ends when the server reports that the session can no longer write, and after an error that makes the
 *   connection useless ({@link isConnectionSpent}). A pool then replaces it.
 */
export class PostgresClient extends pg.Client {
  private readonly session: SessionSettings;

  constructor(config: PostgresConfig = {}) {
    super(config);
    this.session = { ...PINNED, ...config.session };
    this.on('error', () => undefined);
  }

  override connect(): Promise<this>;
  override connect(callback: (error: Error | null) => void): void;
  override connect(callback?: (error: Error | null) => void): Promise<this> | void {
    if (!callback) return this.open();
    callbackify(() => this.open())(callback);
  }

  /** Ends the connection as a lost socket does: the current statement and all later ones are rejected. */
  discard(why: Error): void {
    this.connection.emit('error', why);
  }

  private async open(): Promise<this> {
    try {
      const connected = super.connect();
      // Registered after pg's own listener, which passes the error to the statement.
      this.connection.on('errorMessage', (error: Error) => {
        if (isConnectionSpent(error)) this.discard(error);
      });
      await connected;
      await this.prepare();
      return this;
    } catch (error) {
      const ended = error instanceof ReadOnlySession ? this.endSession() : this.end();
      void ended.catch(() => undefined);
      failedConnections.add(error as Error);
      throw error;
    }
  }

  /**
   * Ends the session in the server, too. A pooler keeps the session of a client that disconnects and gives it to the next
   * one, which would then find it as unfit, for as long as the pooler keeps sessions.
   */
  private async endSession(): Promise<void> {
    await this.query(END_SESSION).catch(() => undefined);
    await this.end();
  }

  private async prepare(): Promise<void> {
    const names = Object.keys(this.session);
    const values = Object.values(this.session).map(String);
    const { rows } = await this.query<{ readOnly: string }>(PREPARE, [names, values]);
    if (rows[0]!.readOnly !== 'off') throw new ReadOnlySession();
    // Since PostgreSQL 14 a change is reported before the end of the first answer that it affects. Reports during the
    // connect are ignored: a pooler may have cached them for long.
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      if (REPORTS_READ_ONLY.has(parameterName) && parameterValue === 'on')
        this.discard(new ReadOnlySession());
    });
  }
}

interface ParameterStatus {
  parameterName: string;
  parameterValue: string;
}

const REPORTS_READ_ONLY = new Set(['default_transaction_read_only', 'in_hot_standby']);
