import { Problem } from '../api/problem.js';

/** SQLSTATE classes and codes of temporary failures (PostgreSQL, appendix A). */
const NOT_NOW = /^(08...|53...|57...|58...|55P03|40001|40P01|25P0[34])$/;
/**
 * SQLSTATEs that concern the connection, not the statement: the server takes no writes (25006), a prepared statement
 * is missing or differs (26000, 42P05), the role has lost a right (42501). A new connection may help.
 */
const SPENT = new Set(['25006', '26000', '42P05', '42501']);
const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** Messages without a code with which pg, its pool and TypeORM report a lost connection. */
const CLIENT_SIDE =
  /timeout|Connection terminated|connection is closed|not queryable|Cannot use a pool|already released|Driver not Connected|connection is not yet established/i;

/** Errors of attempts to connect. Regardless of their text, PostgreSQL was not asked. */
export const failedConnections = new WeakSet<object>();

/** Whether PostgreSQL could not be asked. False if it has answered with an error. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const cause = (error as { driverError?: unknown } | null)?.driverError ?? error;
  if (typeof cause !== 'object' || cause === null) return false;
  if (failedConnections.has(cause) || isConnectionSpent(cause)) return true;
  // Not by class: an error may come from another realm, such as that of a test.
  const { code, message, errors } = cause as { code?: unknown; message?: unknown; errors?: unknown };
  if (Array.isArray(errors)) return errors.length > 0 && errors.every(isDatabaseUnavailable);
  if (typeof code === 'string') return NOT_NOW.test(code) || SOCKET_ERRORS.has(code);
  return typeof message === 'string' && CLIENT_SIDE.test(message);
}

/** Whether the connection that reported this error has to be replaced. */
export function isConnectionSpent(error: object): boolean {
  const { code, routine } = error as { code?: unknown; routine?: unknown };
  // "cached plan must not change result type" has the code of everything that PostgreSQL does not support.
  if (code === '0A000') return routine === 'RevalidateCachedQuery';
  return typeof code === 'string' && SPENT.has(code);
}

/**
 * Whether PostgreSQL rejects this role, password or database (class 28, 3D000). For a missing password the driver
 * itself reports an error.
 */
export function isDatabaseRefusal(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return /^(28...|3D000)$/.test(String(code)) || String(message).startsWith('SASL: ');
}

/**
 * Turns an unavailable database into a 503, never into a 401 or a 500: an outage must not log users out.
 * @returns undefined for all other errors
 */
export function databaseProblem(error: unknown): Problem | undefined {
  return isDatabaseUnavailable(error) ? new Problem('auth.unavailable', { cause: error }) : undefined;
}
