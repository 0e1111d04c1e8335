import { Problem } from '../common/problem.js';

/** SQLSTATE classes and codes that mean "not now" (PostgreSQL, appendix A). */
const NOT_NOW = /^(08...|53...|57...|55P03|40001|40P01|25P0[34])$/;
const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** What pg and its pool say of themselves, for want of a code. */
const CLIENT_SIDE = /timeout|Connection terminated|connection is closed|not queryable|Cannot use a pool/i;

/** Whether PostgreSQL could not be asked, as against having answered. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const cause = (error as { driverError?: unknown } | null)?.driverError ?? error;
  if (typeof cause !== 'object' || cause === null) return false;
  // Not by class: an error may come from another realm, such as the one around a test.
  const { code, message, errors } = cause as { code?: unknown; message?: unknown; errors?: unknown };
  if (Array.isArray(errors)) return errors.length > 0 && errors.every(isDatabaseUnavailable);
  if (typeof code === 'string') return NOT_NOW.test(code) || SOCKET_ERRORS.has(code);
  return typeof message === 'string' && CLIENT_SIDE.test(message);
}

/** Whether PostgreSQL does not let this role, password or database in (class 28, 3D000). Of a missing password the driver itself complains. */
export function isDatabaseRefusal(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return /^(28...|3D000)$/.test(String(code)) || String(message).startsWith('SASL: ');
}

/** Never a 401 and never a 500: nobody is logged out because a database is away. */
export function databaseProblem(error: unknown): Problem | undefined {
  return isDatabaseUnavailable(error) ? new Problem('auth.unavailable', { cause: error }) : undefined;
}
