import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import { BootError } from './common/boot-error.js';
import type { Settings } from './config/settings.js';
import { Connections } from './http/connections.js';
import { MAX_DRAIN_MS, Shutdown } from './http/shutdown.js';

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

/**
 * Finishes what clients have begun, then closes the application. What the checks of sessions rely on, such as the revocation feed,
 * goes on until no request is under way.
 */
export async function close(
  app: Pick<INestApplication, 'close' | 'get' | 'getHttpServer'>,
  { requestTimeout }: Pick<Settings, 'requestTimeout'>,
): Promise<void> {
  const server = app.getHttpServer() as Server;
  // A boot that has failed serves nobody.
  if (server.listening) await app.get(Shutdown).run();
  const connections = app.get(Connections);
  connections.destroyAll();
  // Node.js stops looking for slow requests when a server closes, so they are cut off here.
  const cutOff = setTimeout(() => connections.destroyAll(), Math.min(requestTimeout, MAX_DRAIN_MS));
  await app.close().finally(() => clearTimeout(cutOff));
}
