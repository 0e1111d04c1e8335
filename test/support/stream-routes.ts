import { Controller, Get, Injectable, Module, Sse, StreamableFile, type MessageEvent } from '@nestjs/common';
import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
} from '@nestjs/websockets';
import { finalize, Subject, type Observable } from 'rxjs';
import { PassThrough, type Readable } from 'node:stream';
import { z } from 'zod';
import type { WebSocket } from 'ws';
import {
  AllowScope,
  CurrentCaller,
  Problem,
  Public,
  RequireSession,
  Roles,
  StreamGuard,
  type Caller,
  type GuardStream,
} from '#core';
import { PROBE_READ, PROBE_WRITE } from './probe-routes.js';

/** Makes the streams of the tests send, when a test wants it. */
@Injectable()
export class Ticker {
  readonly messages = new Subject<MessageEvent>();
  readonly sockets = new Set<WebSocket>();
  readonly downloads = new Set<Readable>();
  /** Streams whose handler runs. */
  running = 0;

  stream(): Observable<MessageEvent> {
    this.running += 1;
    return this.messages.pipe(finalize(() => (this.running -= 1)));
  }

  /** Sends a text to every stream, socket and download. */
  send(text: string): void {
    this.messages.next({ data: text, id: text });
    for (const socket of this.sockets) socket.send(JSON.stringify({ event: 'tick', data: text }));
    for (const download of this.downloads) (download as PassThrough).write(text);
  }
}

/** A stream of each tier. */
@Controller('probe/streams')
class StreamsController {
  constructor(private readonly ticker: Ticker) {}

  @Sse('public')
  @Public()
  open() {
    return this.ticker.stream();
  }

  @Sse('access')
  @AllowScope(PROBE_READ)
  access() {
    return this.ticker.stream();
  }

  @Sse('session')
  @RequireSession()
  @AllowScope(PROBE_WRITE)
  session() {
    return this.ticker.stream();
  }

  @Sse('admin')
  @RequireSession()
  @Roles('admin')
  admin() {
    return this.ticker.stream();
  }

  @Get('download')
  @RequireSession()
  download(@StreamGuard() guard: GuardStream) {
    const source = new PassThrough();
    this.ticker.downloads.add(source);
    source.once('close', () => this.ticker.downloads.delete(source));
    return new StreamableFile(guard(source));
  }
}

const Text = z.strictObject({ text: z.string().max(100) });
type Text = z.infer<typeof Text>;

@Injectable()
class EchoGateway implements OnGatewayConnection {
  readonly received: string[] = [];

  constructor(private readonly ticker: Ticker) {}

  handleConnection(socket: WebSocket): void {
    this.ticker.sockets.add(socket);
    socket.once('close', () => this.ticker.sockets.delete(socket));
  }

  @SubscribeMessage('echo')
  echo(
    @MessageBody({ schema: Text }) { text }: Text,
    @CurrentCaller() { kind, id }: Caller,
    @ConnectedSocket() _socket: WebSocket,
  ) {
    this.received.push(text);
    return { event: 'echo', data: { text, kind, id } };
  }

  @SubscribeMessage('fail')
  fail() {
    throw new Error('a secret of the server');
  }

  @SubscribeMessage('refuse')
  refuse() {
    throw new Problem('resource.conflict');
  }
}

@Injectable()
@WebSocketGateway({ path: '/v1/probe/sockets/session' })
@RequireSession()
@AllowScope(PROBE_WRITE)
export class SessionGateway extends EchoGateway {}

@Injectable()
@WebSocketGateway({ path: '/v1/probe/sockets/access' })
export class AccessGateway extends EchoGateway {}

@Module({ controllers: [StreamsController], providers: [AccessGateway, SessionGateway, Ticker] })
export class StreamsModule {}
