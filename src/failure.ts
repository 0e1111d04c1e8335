import { BootError } from './common/boot-error.js';
import { isConnectionSpent, isDatabaseRefusal, isDatabaseUnavailable } from './database/database-problem.js';
import { isAboutTls } from './database/postgres-connection.js';

/**
 * The reason why the application or a command cannot work, for the operator. Null for errors that only a developer
 * can fix.
 */
export function reasonOf(error: unknown): string | null {
  const { code, message } = error as { code?: string; message: string };
  if (error instanceof BootError) return message;
  if (isAboutTls(error as Error))
    return `DATABASE_URL names a PostgreSQL that cannot be trusted as STORE_TLS wants: ${message}`;
  if (isDatabaseRefusal(error))
    return `DATABASE_URL names a role, password or database that its PostgreSQL does not take: ${message}`;
  if (isConnectionSpent(error as Error))
    return `DATABASE_URL names a PostgreSQL or a role that cannot do what an instance does: ${message}`;
  if (isDatabaseUnavailable(error))
    return `DATABASE_URL names a PostgreSQL that does not answer: ${message || code}`;
  return null;
}
