import type { FastifyRequest } from 'fastify';
import { WebSocket } from 'ws';
import type { Problem } from '../../platform/api/problem.js';
import { endMessage } from './end-message.js';
import type { Channel, OpenConnection } from './open-connection.js';

type SendArguments = Parameters<WebSocket['send']>;

/**
 * A WebSocket whose messages are checked before they are sent, by whichever code sends them. It has the caller of the
 * request that opened it, so that `@CurrentUser()`, `@CurrentSession()` and `@CurrentCaller()` work in a gateway.
 */
export class GuardedSocket
  extends WebSocket
  implements Pick<FastifyRequest, 'user' | 'session' | 'delegate'>
{
  user?: FastifyRequest['user'];
  session?: FastifyRequest['session'];
  delegate?: FastifyRequest['delegate'];
  connection!: OpenConnection<SendArguments>;
  /** Answers a message with the problem of an error. */
  refuse!: (error: unknown) => void;

  /** Sends a message when the session, key or grant of the caller has been checked. */
  override send(...message: unknown[]): void {
    this.connection.send(message as SendArguments);
  }

  /** Sends without a check. */
  sendNow(...message: SendArguments): void {
    super.send(...message);
  }
}

/** The transport of a {@link GuardedSocket}. */
export class SocketChannel implements Channel<SendArguments> {
  private lastWrite: Promise<void> = Promise.resolve();
  private isAnswering = true;

  constructor(private readonly socket: GuardedSocket) {
    socket.on('pong', () => (this.isAnswering = true));
  }

  flushed(): Promise<void> {
    return this.lastWrite;
  }

  write([data, ...rest]: SendArguments): void {
    const options = typeof rest[0] === 'object' ? rest[0] : {};
    const done = rest.find((argument) => typeof argument === 'function') as
      ((error?: Error) => void) | undefined;
    this.lastWrite = new Promise((resolve) => {
      this.socket.sendNow(data, options, (error) => {
        done?.(error);
        resolve();
      });
    });
  }

  /** A client that has not answered the last ping is gone. */
  ping(): void {
    if (!this.isAnswering) return this.socket.terminate();
    this.isAnswering = false;
    this.socket.ping();
  }

  end(problem: Problem): void {
    if (this.socket.bufferedAmount > 0) return this.socket.terminate();
    const { close, data } = endMessage(problem);
    this.socket.close(close, JSON.stringify(data));
  }

  finish(): void {
    this.socket.close();
  }

  destroy(): void {
    this.socket.terminate();
  }
}
