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
  if (!(cause instanceof Error)) return false;
  if (cause instanceof AggregateError) return cause.errors.every(isDatabaseUnavailable);
  const { code } = cause as { code?: unknown };
  if (typeof code === 'string') return NOT_NOW.test(code) || SOCKET_ERRORS.has(code);
  return CLIENT_SIDE.test(cause.message);
}

/** Never a 401 and never a 500: nobody is logged out because a database is away. */
export function databaseProblem(error: unknown): Problem | undefined {
  return isDatabaseUnavailable(error) ? new Problem('auth.unavailable', { cause: error }) : undefined;
}
