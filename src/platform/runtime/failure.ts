import { BootError } from '../settings/boot-error.js';
import {
  isConnectionSpent,
  isDatabaseRefusal,
  isDatabaseUnavailable,
} from '../persistence/database-problem.js';
import { isAboutTls } from '../persistence/postgres/postgres-connection.js';

const RIGHTS = '; `npm run db:migrate` as the owner, with DATABASE_APP_ROLE, gives the role its rights';

/**
 * The reason why the application or a command cannot work, for the operator. Null for errors that only a developer
 * can fix.
 */
export function reasonOf(error: unknown): string | null {
  const { code, message } = error as { code?: string; message: string };
  if (error instanceof BootError) return message;
  if (isAboutTls(error as Error))
    return `The TLS connection to the PostgreSQL of DATABASE_URL does not meet STORE_TLS: ${message}`;
  if (isDatabaseRefusal(error))
    return `PostgreSQL refuses the role, password or database of DATABASE_URL: ${message}`;
  if (isConnectionSpent(error as Error))
    return `The PostgreSQL or the role of DATABASE_URL cannot be used by an instance: ${message}${code === '42501' ? RIGHTS : ''}`;
  if (isDatabaseUnavailable(error))
    return `The PostgreSQL of DATABASE_URL does not answer: ${message || code}; check that it runs and that this machine reaches it`;
  return null;
}
