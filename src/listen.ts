import type { INestApplication } from '@nestjs/common';
import { BootError } from './common/boot-error.js';
import type { Settings } from './config/settings.js';
import { Connections } from './server/connections.js';

/** @throws BootError when `HOST` or `PORT` stands in the way */
export async function listen(
  app: Pick<INestApplication, 'listen'>,
  { port, host }: Pick<Settings, 'port' | 'host'>,
): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new BootError(`PORT ${port} is in use; allowed: a free one, or 0 for any`);
    if (code === 'EACCES')
      throw new BootError(
        `PORT ${port} is not for this user; allowed: mostly those from 1024 on, or 0 for any`,
      );
    // The name is looked up, or the address is bound; what else goes wrong is no matter of settings.
    if (syscall === undefined) throw error;
    throw new BootError(
      `HOST "${host}" is not where one can listen: ${message}; allowed: an address of this machine, or 0.0.0.0 for all`,
    );
  }
}

/** Answers that are under way take PostgreSQL's longest statement at most. */
const LONGEST_FAREWELL_MS = 10_000;

/** Node.js stops looking for slow requests when a server closes, so they are cut off here. */
export async function close(
  app: Pick<INestApplication, 'close' | 'get'>,
  { requestTimeout }: Pick<Settings, 'requestTimeout'>,
): Promise<void> {
  const connections = app.get(Connections);
  const farewell = setTimeout(() => connections.destroyAll(), Math.min(requestTimeout, LONGEST_FAREWELL_MS));
  await app.close().finally(() => clearTimeout(farewell));
}
