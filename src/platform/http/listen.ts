import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import { BootError } from '../settings/boot-error.js';
import type { Settings } from '../settings/settings.js';
import { Connections } from './connections.js';
import { MAX_DRAIN_MS, Shutdown } from './shutdown.js';

/**
 * Starts listening on `HOST` and `PORT`.
 * @throws BootError if `HOST` or `PORT` cannot be used
 */
export async function listen(
  app: Pick<INestApplication, 'listen'>,
  { port, host }: Pick<Settings, 'port' | 'host'>,
): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new BootError(`PORT ${port} is already in use; allowed: a free port, or 0 for any free port`);
    if (code === 'EACCES')
      throw new BootError(
        `Permission denied for PORT ${port}; allowed: usually ports from 1024 on, or 0 for any free port`,
      );
    // A failed name lookup or bind has a `syscall`. Other errors are not about the settings.
    if (syscall === undefined) throw error;
    throw new BootError(
      `Cannot listen on HOST "${host}": ${message}; allowed: an address of this machine, or 0.0.0.0 for all interfaces`,
    );
  }
}

/**
 * Answers requests that are under way, then closes the application. The parts that session checks need, such as the
 * revocation feed, keep running until no request is under way.
 */
export async function close(
  app: Pick<INestApplication, 'close' | 'get' | 'getHttpServer'>,
  { requestTimeout }: Pick<Settings, 'requestTimeout'>,
): Promise<void> {
  const server = app.getHttpServer() as Server;
  // After a failed boot there are no clients to drain.
  if (server.listening) await app.get(Shutdown).run();
  const connections = app.get(Connections);
  connections.destroyAll();
  // Node.js stops checking for slow requests when a server closes, so a timer cuts them off here.
  const cutOff = setTimeout(() => connections.destroyAll(), Math.min(requestTimeout, MAX_DRAIN_MS));
  await app.close().finally(() => clearTimeout(cutOff));
}
