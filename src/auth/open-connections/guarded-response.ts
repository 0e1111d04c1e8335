import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import type { RouteContext } from './admission.js';
import { flushed } from './flushed.js';
import type { Channel, OpenConnection } from './open-connection.js';
import './open-connections.service.js';

/** Wraps the stream of a response: see `StreamGuard`. @throws Problem as `OpenConnections.open` */
export function guardResponse(
  source: Readable,
  context: RouteContext,
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
