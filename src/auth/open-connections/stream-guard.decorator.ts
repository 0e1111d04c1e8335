import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { guardResponse } from './guarded-response.js';

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
