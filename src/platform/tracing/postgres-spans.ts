import { context, type Tracer } from '@opentelemetry/api';
import { PostgresClient } from '../persistence/postgres/postgres-client.js';
import { PostgresPool } from '../persistence/postgres/postgres-pool.js';
import { failSpan, isRecorded, startStoreSpan } from './store-span.js';

const MAX_TEXT = 500;

interface Statement {
  text: string;
  name?: string;
  values?: unknown[];
  submit?: unknown;
}
type Done = (error: Error | null, result?: unknown) => void;
type Method = (this: unknown, ...args: unknown[]) => unknown;
/** A class whose method is replaced, and deleted again: then that of its base class counts. */
type Replaced = Record<'query' | 'connect', Method | undefined>;

/**
 * A span for each statement that a request sends. All connections are `PostgresClient`s, so this replaces one method
 * of that class, and without traces there is nothing in the way of a statement.
 *
 * @returns ends it
 */
export function traceStatements(tracer: Tracer): () => void {
  const clients = PostgresClient.prototype as unknown as Replaced;
  const pools = PostgresPool.prototype as unknown as Replaced;
  const query = PostgresClient.prototype.query as Method;
  const connect = PostgresPool.prototype.connect as Method;
  clients.query = function (...args) {
    return isRecorded() ? traced(tracer, args, (given) => query.apply(this, given)) : query.apply(this, args);
  };
  // A request that has waited for a connection is called by the request that returns one.
  pools.connect = function (...args) {
    return connect.apply(this, args.map(bound));
  };
  return () => {
    delete (clients as Partial<Replaced>).query;
    delete (pools as Partial<Replaced>).connect;
  };
}

/** Sends a statement, and ends its span with the promise that the driver returns, or with the callback that it gets. */
function traced(tracer: Tracer, args: unknown[], send: (args: unknown[]) => unknown): unknown {
  const statement = statementOf(args);
  // A cursor: it has neither.
  if (statement.submit) return send(args);
  const span = startStoreSpan(tracer, summaryOf(statement), attributesOf(statement))!;
  const end: Done = (error) => {
    if (error) failSpan(span, error);
    span.end();
  };
  const callback = args.at(-1);
  if (typeof callback === 'function') {
    const both: Done = (error, result) => {
      end(error);
      (callback as Done)(error, result);
    };
    return send([...args.slice(0, -1), both]);
  }
  const answer = send(args) as Promise<unknown>;
  answer.then(() => end(null), end);
  return answer;
}

function statementOf([first, second]: unknown[]): Statement {
  const values = Array.isArray(second) ? second : undefined;
  return typeof first === 'string' ? { text: first, values } : { values, ...(first as Statement) };
}

/**
 * Never a value. The text of a statement without parameters may contain values, so it is left out; that of a named one is
 * known by its name.
 */
function attributesOf(statement: Statement) {
  const { text, name, values } = statement;
  const isParameterized = name === undefined && values !== undefined && values.length > 0;
  return {
    'db.system.name': 'postgresql',
    'db.operation.name': operationOf(statement),
    'db.query.summary': summaryOf(statement),
    'db.query.text': isParameterized ? text.trim().replace(/\s+/g, ' ').slice(0, MAX_TEXT) : undefined,
  };
}

const summaryOf = (statement: Statement): string => statement.name ?? operationOf(statement);

function operationOf({ text }: Statement): string {
  return /[a-z]+/i.exec(text)?.[0].toUpperCase() ?? 'QUERY';
}

function bound(argument: unknown): unknown {
  return typeof argument === 'function' ? context.bind(context.active(), argument) : argument;
}
