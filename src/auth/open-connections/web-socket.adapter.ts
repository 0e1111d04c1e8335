import { Inject, Injectable, type OnModuleInit, type WsMessageHandler } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ExternalContextCreator, HttpAdapterHost } from '@nestjs/core';
import { AbstractWsAdapter } from '@nestjs/websockets';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';
import { WebSocketServer, type RawData } from 'ws';
import { Problem } from '../../platform/api/problem.js';
import { ProblemFilter } from '../../platform/api/problem.filter.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { databaseProblem } from '../../platform/persistence/database-problem.js';
import { routeUpgrades, upgradeOf, type Upgrade } from '../../platform/http/upgrades.js';
import { LastSeenService } from '../../sessions/check/last-seen.service.js';
import { CrossSiteGuard } from '../guards/cross-site.guard.js';
import type { Admission, RouteContext } from './admission.js';
import { Admissions } from './admissions.service.js';
import { connect, guardGateways, type Gateway } from './gateways.js';
import { GuardedSocket, SocketChannel } from './guarded-socket.js';
import { OpenConnections } from './open-connections.service.js';

/** As of other bodies of this API. */
const MAX_MESSAGE_BYTES = 10_240;

/** A sender of `Upgrade` also names it in `Connection` (RFC 9110 7.8). */
const UPGRADE = { upgrade: 'websocket', connection: 'close, upgrade' };

interface Message {
  event: string;
  data?: unknown;
}

/**
 * Serves WebSockets by `ws`, on the server and the port of the API. The guards of every route admit the request that opens
 * a WebSocket, by the decorators on the gateway's class. Each message in either direction then passes the check of the
 * gateway's tier.
 */
@Injectable()
export class WebSocketAdapter extends AbstractWsAdapter implements OnModuleInit {
  private readonly gateways: Gateway[];
  private readonly problems: ProblemFilter;

  constructor(
    application: ApplicationConfig,
    discovery: DiscoveryService,
    private readonly host: HttpAdapterHost,
    private readonly guards: ExternalContextCreator,
    private readonly connections: OpenConnections,
    private readonly admissions: Admissions,
    private readonly crossSite: CrossSiteGuard,
    private readonly lastSeen: LastSeenService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.problems = new ProblemFilter(logger, [databaseProblem], () => []);
    // Nest registers gateways before any hook of a module.
    this.gateways = guardGateways(discovery);
    application.setIoAdapter(this);
  }

  /** Without a gateway, Node answers a request for an upgrade as a plain one. */
  onModuleInit(): void {
    if (this.gateways.length > 0)
      routeUpgrades(this.fastify, (asked) => this.gateways.some(({ path }) => path === asked));
  }

  create(_port: number, { path }: { path: string }): WebSocketServer {
    const server = new WebSocketServer({
      noServer: true,
      WebSocket: GuardedSocket,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    const gateway = this.gateways.find((each) => each.path === path)!;
    const context = contextOf(gateway);
    const guard = this.guardsOf(gateway);
    this.fastify.get(path, async (request, reply) => {
      const upgrade = upgradeOf(request.raw);
      if (!upgrade) throw new Problem('request.upgrade_required', { headers: UPGRADE });
      this.crossSite.requireOwnSite(request);
      await guard(request, reply);
      const admission = this.admissions.of(context, request);
      this.connections.requireRoom(admission);
      this.accept(server, upgrade, admission, request, reply);
    });
    return server;
  }

  bindMessageHandlers(
    socket: GuardedSocket,
    handlers: WsMessageHandler[],
    transform: (result: unknown) => Observable<unknown>,
  ): void {
    const byEvent = new Map(handlers.map((handler) => [handler.message, handler]));
    let handled: Promise<unknown> = Promise.resolve();
    socket.on('message', (data: RawData, isBinary: boolean) => {
      // The client sends faster than the handlers work: it has to wait.
      socket.pause();
      handled = handled
        .then(() => this.handle(socket, byEvent, isBinary ? null : messageIn(data), transform))
        .catch(socket.refuse)
        .finally(() => socket.resume());
    });
  }

  override bindClientDisconnect(socket: GuardedSocket, callback: () => void): void {
    socket.once('close', callback);
  }

  override async close(server: WebSocketServer): Promise<void> {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  }

  private get fastify(): FastifyInstance {
    return this.host.httpAdapter.getInstance<FastifyInstance>();
  }

  private accept(
    server: WebSocketServer,
    { socket, head, response }: Upgrade,
    admission: Admission | null,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    reply.hijack();
    response.detachSocket(socket as never);
    server.handleUpgrade(request.raw, socket, head, (opened) => {
      const webSocket = opened as GuardedSocket; // the server makes no other
      webSocket.user = request.user;
      webSocket.session = request.session;
      webSocket.delegate = request.delegate;
      webSocket.refuse = (error) => webSocket.send(JSON.stringify(this.refusal(error, request)));
      webSocket.connection = this.connections.open(admission, new SocketChannel(webSocket));
      webSocket.once('close', () => webSocket.connection.close());
      webSocket.on('error', (err) => this.logger.debug({ err, requestId: request.id }, 'a WebSocket failed'));
      this.logger.info({ requestId: request.id, route: request.routeOptions.url, status: 101 }, 'request');
      server.emit('connection', webSocket, request.raw);
    });
  }

  private async handle(
    socket: GuardedSocket,
    handlers: Map<string, WsMessageHandler>,
    message: Message | null,
    transform: (result: unknown) => Observable<unknown>,
  ): Promise<void> {
    const handler = message && handlers.get(message.event);
    if (!handler) throw new Problem('request.invalid', { members: { errors: [UNKNOWN_EVENT] } });
    if (!(await socket.connection.admit())) return;
    if (socket.user) this.lastSeen.touch(socket.user.sessionId);
    const result = await handler.callback(message!.data, message!.event);
    transform(result).subscribe({
      next: (answer) => {
        if (answer !== undefined && answer !== null) socket.send(JSON.stringify(answer));
      },
      error: socket.refuse,
    });
  }

  private refusal(error: unknown, request: FastifyRequest): object {
    return { event: 'exception', data: this.problems.problemOf(error, request).body(String(request.id)) };
  }

  /** Runs the guards of the application and of the gateway's class. */
  private guardsOf({ instance }: Gateway) {
    const options = { guards: true, interceptors: false, filters: false };
    return this.guards.create(
      instance as never,
      connect,
      connect.name,
      undefined,
      undefined,
      undefined,
      undefined,
      options,
    );
  }
}

const UNKNOWN_EVENT = { path: 'event', message: 'is not an event of this WebSocket' };

function contextOf({ type }: Gateway): RouteContext {
  return { getHandler: () => connect, getClass: <T>() => type as T };
}

function messageIn(data: RawData): Message | null {
  try {
    const message = JSON.parse((data as Buffer).toString()) as Partial<Message> | null;
    return typeof message?.event === 'string' ? (message as Message) : null;
  } catch {
    return null;
  }
}
