import { BootError } from './common/boot-error.js';
import { isConnectionSpent, isDatabaseRefusal, isDatabaseUnavailable } from './database/database-problem.js';
import { isAboutTls } from './database/postgres-connection.js';

/** Why the application or a command cannot do its work, for the person who started it. Null for what only its developers can mend. */
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
