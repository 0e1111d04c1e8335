import { Inject, Injectable } from '@nestjs/common';
import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { Clock } from '../runtime/clock.js';
import { Settings } from '../settings/settings.js';

/** After the server has closed its half of a connection, the client has this many ms to close the other half. */
const LINGER_MS = 1_000;
const MAX_CHECK_INTERVAL_MS = 1_000;

/** Interval in ms at which Node.js checks for slow requests, and {@link Connections} checks the rest. */
export function checkInterval({ requestTimeout }: Pick<Settings, 'requestTimeout'>): number {
  return Math.min(MAX_CHECK_INTERVAL_MS, Math.floor(requestTimeout / 3));
}

/**
 * Limits how long a client can occupy a connection that the server no longer needs. Node.js ends slow requests and
 * idle connections. But it leaves two kinds open as long as the client likes: half-closed connections, and those
 * whose client does not read its answers. A timer checks all connections, so that requests pay nothing for it.
 */
@Injectable()
export class Connections {
  /** Each connection, with the time since which the server waits for the client to read or to close. */
  private readonly open = new Map<Socket, number | undefined>();
  private wasFull = false;
  private server: Server | undefined;

  constructor(
    private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Pick<Settings, 'requestTimeout'>,
  ) {}

  /** Starts to check the connections of a server. */
  watch(server: Server): void {
    this.server = server;
    server.on('connection', (socket: Socket) => {
      this.open.set(socket, undefined);
      socket.once('close', () => this.open.delete(socket));
    });
    server.on('drop', () => (this.wasFull = true));
    server.on('listening', () => {
      const timer = setInterval(() => this.check(server), checkInterval(this.settings)).unref();
      server.once('close', () => clearInterval(timer));
    });
  }

  get count(): number {
    return this.open.size;
  }

  /** Whether a request is under way on any connection. */
  areBusy(): boolean {
    return [...this.open.keys()].some((socket) => responseOn(socket) !== null);
  }

  /** Makes the current response the last one on each connection. */
  closeAfterResponses(): void {
    for (const socket of this.open.keys()) {
      const response = responseOn(socket);
      if (response && !response.headersSent) response.setHeader('connection', 'close');
    }
  }

  /** Refuses new connections. `close()` of an HTTP server would also cut idle connections. */
  stopListening(): void {
    if (this.server?.listening) NetServer.prototype.close.call(this.server);
  }

  destroyAll(): void {
    for (const socket of this.open.keys()) socket.destroy();
  }

  private check(server: Server): void {
    const now = this.clock.monotonic();
    for (const [socket, since] of this.open) {
      const bound = this.boundOf(socket);
      if (bound === undefined) this.open.set(socket, undefined);
      else if (since === undefined) this.open.set(socket, now);
      else if (now - since >= bound) socket.destroy();
    }
    // At MAX_CONNECTIONS, connections between two requests are closed for new clients.
    if (this.wasFull) server.closeIdleConnections();
    this.wasFull = false;
  }

  /** @returns undefined for a connection that does not wait for its client to read or to close */
  private boundOf(socket: Socket): number | undefined {
    if (socket.writableLength > 0) return this.settings.requestTimeout;
    return socket.writableEnded ? LINGER_MS : undefined;
  }
}

/** The current response on a connection. Node.js stores it there, but has no public name for it. */
export function responseOn(socket: Socket): ServerResponse | null {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? null;
}
