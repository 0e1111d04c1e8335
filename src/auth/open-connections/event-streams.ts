import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type MessageEvent,
  type NestInterceptor,
} from '@nestjs/common';
import { INTERCEPTORS_METADATA, SSE_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, type DiscoveryService } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Observable, type Subscriber } from 'rxjs';
import type { Problem } from '../../platform/api/problem.js';
import { endMessage } from './end-message.js';
import { flushed } from './flushed.js';
import type { Channel } from './open-connection.js';
import './open-connections.service.js';

/**
 * Makes an open connection of every event stream: each message of the handler is checked before it is sent, and the
 * stream ends with the session, key or grant of its caller.
 */
@Injectable()
class EventStreamInterceptor implements NestInterceptor<MessageEvent, MessageEvent> {
  intercept(context: ExecutionContext, next: CallHandler<MessageEvent>): Observable<MessageEvent> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    return new Observable<MessageEvent>((client) => {
      const channel = new EventStreamChannel(request, http.getResponse<FastifyReply>(), client);
      const connection = request.server.openConnections.openFor(context, request, channel);
      const source = next.handle().subscribe({
        next: (message) => connection.send(message),
        error: (error) => client.error(error),
        complete: () => connection.finish(),
      });
      return () => {
        source.unsubscribe();
        connection.close();
      };
    });
  }
}

/** It has no state, so all applications of a process share it. */
const INTERCEPTOR = new EventStreamInterceptor();

/** Guards every route with `@Sse()`. Call it before the application registers its routes. */
export function guardEventStreams(discovery: DiscoveryService): void {
  const scanner = new MetadataScanner();
  for (const { metatype } of discovery.getControllers()) {
    const prototype = (metatype?.prototype ?? {}) as Record<string, object>;
    for (const name of scanner.getAllMethodNames(prototype)) {
      const handler = prototype[name]!;
      if (!Reflect.getMetadata(SSE_METADATA, handler)) continue;
      const others = (Reflect.getMetadata(INTERCEPTORS_METADATA, handler) ?? []) as unknown[];
      // The first interceptor is the outermost: it gets what the others have made of a message.
      if (!others.includes(INTERCEPTOR))
        Reflect.defineMetadata(INTERCEPTORS_METADATA, [INTERCEPTOR, ...others], handler);
    }
  }
}

/** The transport of an event stream. */
export class EventStreamChannel implements Channel<MessageEvent> {
  private lastId: string | undefined;

  constructor(
    request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly client: Subscriber<MessageEvent>,
  ) {
    this.lastId = [request.headers['last-event-id']].flat()[0];
  }

  flushed(): Promise<void> {
    return flushed(this.reply.raw.socket);
  }

  write(message: MessageEvent): void {
    if (message.id !== undefined) this.lastId = message.id;
    this.client.next(message);
  }

  ping(): void {
    if (this.isRead()) this.client.next({ comment: '' } as MessageEvent);
  }

  /** Repeats the last id: a client that connects again continues where it was. */
  end(problem: Problem): void {
    if (!this.isRead()) return this.destroy();
    const { event, data } = endMessage(problem);
    if (event) this.client.next({ type: event, data, ...(this.lastId !== undefined && { id: this.lastId }) });
    this.client.complete();
  }

  finish(): void {
    this.client.complete();
  }

  destroy(): void {
    this.reply.raw.destroy();
  }

  private isRead(): boolean {
    const { socket } = this.reply.raw;
    return socket !== null && !socket.destroyed && socket.writableLength === 0;
  }
}
