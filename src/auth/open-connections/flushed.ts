import type { Writable } from 'node:stream';

/** Resolves when the operating system has taken everything that was written to a socket, or when it is closed. */
export function flushed(socket: Writable | null): Promise<void> {
  if (socket === null || socket.destroyed || socket.writableLength === 0) return Promise.resolve();
  // Writes are taken in order, so the callback of an empty one runs after those before it.
  return new Promise((resolve) => socket.write('', () => resolve()));
}
