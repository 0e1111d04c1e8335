import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { flushed } from './flushed.js';
import type { Channel, OpenConnection } from './open-connection.js';
import './open-connections.service.js';

/** Makes a long response end with the session, key or grant of its caller; see {@link StreamGuard}. */
export type GuardStream = (source: Readable) => Readable;

/**
 * For downloads and streamed answers: a function that wraps the stream of a response. Each chunk is sent only while the
 * caller is admitted, as a message of an event stream is. When the caller's session ends, the response breaks off, so that
 * the client cannot take it for complete.
 *
 * It is a parameter of the handler, and the handler returns `new StreamableFile(guard(source))`.
 */
export const StreamGuard = createParamDecorator((_: unknown, context: ExecutionContext): GuardStream => {
  const http = context.switchToHttp();
  return (source) =>
    guardResponse(source, context, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
});

/** @throws Problem as `OpenConnections.open` */
function guardResponse(
  source: Readable,
  context: ExecutionContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Readable {
  const connection = request.server.openConnections.openFor(context, request, new ResponseChannel(reply));
  // The source may be silent for long, so it is not the next chunk that ends it.
  reply.raw.once('close', () => {
    source.destroy();
    connection.close();
  });
  return Readable.from(admitted(source, connection, reply), { objectMode: false });
}

async function* admitted(
  source: Readable,
  connection: OpenConnection<unknown>,
  reply: FastifyReply,
): AsyncGenerator<unknown> {
  for await (const chunk of source) {
    await flushed(reply.raw.socket);
    if (!(await connection.admit())) throw new Error('the caller is not admitted any more');
    yield chunk;
  }
}

/** The response itself is the only message: the end of the connection breaks it off. */
class ResponseChannel implements Channel<never> {
  constructor(private readonly reply: FastifyReply) {}

  flushed(): Promise<void> {
    return flushed(this.reply.raw.socket);
  }

  write(): void {}

  ping(): void {}

  end(): void {
    this.destroy();
  }

  finish(): void {}

  destroy(): void {
    this.reply.raw.destroy();
  }
}
