import type { FastifyInstance } from 'fastify';
import { ServerResponse, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** A connection that its client wants to upgrade to a WebSocket. */
export interface Upgrade {
  socket: Duplex;
  /** The first bytes after the request. */
  head: Buffer;
  response: ServerResponse;
}

const UPGRADES = new WeakMap<IncomingMessage, Upgrade>();

/** The upgrade that a request asks for; undefined for a plain request. */
export function upgradeOf(request: IncomingMessage): Upgrade | undefined {
  return UPGRADES.get(request);
}

/**
 * Sends requests for a WebSocket through the hooks and routes of Fastify, as any other request. An upgrade that no route
 * takes is ignored, and the request is answered as a plain one (RFC 9110 7.8): clients of HTTP/2 ask for `h2c` unasked.
 *
 * @param takes whether a route takes the upgrades of this path
 */
export function routeUpgrades(fastify: FastifyInstance, takes: (path: string) => boolean): void {
  fastify.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = request.url!.split('?', 1)[0]!;
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (!isWebSocket || !takes(path)) return serveAgain(fastify.server, request, socket, head);
    // Node has removed its own listener: an error of a closed connection must not end the process.
    socket.on('error', () => undefined);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    response.on('finish', () => socket.end());
    UPGRADES.set(request, { socket, head, response });
    fastify.routing(request, response);
  });
}

/** Gives the connection back to the server, with a request that does not ask for an upgrade. */
function serveAgain(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]!;
    const value = request.rawHeaders[index + 1]!;
    const kept = name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value;
    if (name.toLowerCase() !== 'upgrade' && kept !== '') lines.push(`${name}: ${kept}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

const withoutUpgrade = (connection: string): string =>
  connection
    .split(',')
    .filter((option) => option.trim().toLowerCase() !== 'upgrade')
    .join(',');
