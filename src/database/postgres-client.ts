import { callbackify } from 'node:util';
import pg from 'pg';
import { failedConnections, isConnectionSpent } from './database-problem.js';

/** Settings of a PostgreSQL session, by their names there. */
export type SessionSettings = Readonly<Record<string, string | number>>;

export interface PostgresConfig extends pg.ClientConfig {
  /** On top of what every session has. */
  session?: SessionSettings;
}

/**
 * The settings that parsing, locking and timeouts rely on. A role, a database or a server may have other ones.
 * `search_path` is left alone: it says where the operator put the tables. The driver itself asks for UTF-8.
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
};

/**
 * A statement and not start-up parameters, which poolers such as PgBouncer refuse or drop. The session is asked with its
 * own settings whether it can write, as `target_session_attrs=read-write` does.
 */
const PREPARE = `
  select (select count(pg_catalog.set_config(name, value, false)) from unnest($1::text[], $2::text[]) as s (name, value)),
    pg_catalog.current_setting('transaction_read_only') as "readOnly"`;

/** The server is a standby or a former primary, or was told to take no writes. */
export class ReadOnlySession extends Error {
  override readonly name = 'ReadOnlySession';
  /** `read_only_sql_transaction`, as PostgreSQL would answer to a write. */
  readonly code = '25006';

  constructor() {
    super('this PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on');
  }
}

/**
 * A connection to PostgreSQL. All connections of the application are of this class, those of pools too.
 *
 * - Its end is never an uncaught `error` event: pools and TypeORM attach their listeners late and remove them early.
 * - `connect()` resolves when the session has its settings and has proved that it can write.
 * - It ends when the server reports that the session can no longer write, and after an error that says that the
 *   connection is of no more use ({@link isConnectionSpent}). A pool then replaces it.
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

  /** Ends the connection as a lost socket does: the statement under way is rejected, and so are those that follow. */
  discard(why: Error): void {
    this.connection.emit('error', why);
  }

  private async open(): Promise<this> {
    try {
      const connected = super.connect();
      // After pg's own listener, which gives the error to the statement.
      this.connection.on('errorMessage', (error: Error) => {
        if (isConnectionSpent(error)) this.discard(error);
      });
      await connected;
      await this.prepare();
      return this;
    } catch (error) {
      void this.end().catch(() => undefined);
      failedConnections.add(error as Error);
      throw error;
    }
  }

  private async prepare(): Promise<void> {
    const names = Object.keys(this.session);
    const values = Object.values(this.session).map(String);
    const { rows } = await this.query<{ readOnly: string }>(PREPARE, [names, values]);
    if (rows[0]!.readOnly !== 'off') throw new ReadOnlySession();
    // Since PostgreSQL 14 changes are reported before the end of the first answer that they concern. What is reported when
    // a client connects counts for nothing: a pooler may have kept it for long.
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
