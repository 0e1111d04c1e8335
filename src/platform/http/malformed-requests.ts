import type { FastifyInstance } from 'fastify';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { invalidRequest, Problem, PROBLEM_TYPE } from '../api/problem.js';
import { random } from '../runtime/random.js';
import { responseOn } from './connections.js';
import { STANDARD_HEADERS } from './standard-headers.js';

/** By the error `code` of Node.js; all other errors are answered with 400. */
const UNREADABLE: Record<string, () => Problem> = {
  ERR_HTTP_REQUEST_TIMEOUT: () => new Problem('request.invalid', { status: 408 }),
  HPE_HEADER_OVERFLOW: () => new Problem('request.invalid', { status: 431 }),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () => new Problem('request.too_large'),
};

/**
 * Answers a request that is not HTTP or does not arrive in time. It also closes the connection, because the start of
 * the next request is unknown.
 */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET') return void socket.destroy();
  // Already refused: `Connections` drops further data and closes.
  if (!socket.writable) return;
  // Within another answer, this one would be read as part of it.
  if (responseOn(socket)?.headersSent) return void socket.destroy();
  const problem = UNREADABLE[error.code ?? '']?.() ?? new Problem('request.invalid');
  socket.end(bytesOf(problem));
}

/** The pattern of Node.js, which has then already answered 100. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/**
 * Refuses requests whose `Host` or `Expect` violates RFC 9110 or 9112. Node.js itself would answer without headers or
 * a body.
 */
export function refuseBadHeaders(fastify: FastifyInstance): void {
  fastify.server.on('checkExpectation', (request, response) => {
    fastify.server.emit('request', request, response);
  });
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { headers, raw } = request;
    const hosts = countHosts(raw.rawHeaders);
    if (hosts > 1 || (hosts === 0 && raw.httpVersion === '1.1')) {
      done(invalidRequest([{ path: 'Host', message: 'must be sent exactly once' }]));
    } else if (headers.expect !== undefined && !CONTINUE.test(headers.expect)) {
      done(
        new Problem('request.invalid', { status: 417, detail: 'Only `Expect: 100-continue` is supported.' }),
      );
    } else done();
  });
}

/** Counts the `Host` headers, because Node.js keeps only the first in `headers` (RFC 9112 3.2 requires a refusal). */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}

/** `CONNECT` asks for a tunnel. No resource here allows the method, so `Allow` is empty (RFC 9110 10.2.1). */
export function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => undefined).resume();
  socket.end(bytesOf(new Problem('request.method', { headers: { allow: '' } })));
}

/** A complete answer as text, for connections on which Node.js offers no response object. */
function bytesOf(problem: Problem): string {
  const body = JSON.stringify(problem.body(random.uuid()));
  const headers = {
    ...STANDARD_HEADERS,
    ...problem.headers,
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`, ...lines, '', body].join('\r\n');
}
