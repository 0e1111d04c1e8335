import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type MessageEvent,
  type NestInterceptor,
} from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import type { FastifyRequest } from 'fastify';
import { defer, finalize, tap, type Observable } from 'rxjs';
import type { ApiKeyCaller } from '../api-keys/api-key.js';
import { FeedFollowers } from './feed-followers.js';

/**
 * Registers each stream of the feed with {@link FeedFollowers}. On the class of a controller it is outside of the guard of
 * event streams, which is on the method. So it sees an event when it is written, not while it waits for a slow client.
 */
@Injectable()
export class FeedFollowersInterceptor implements NestInterceptor<MessageEvent, MessageEvent> {
  constructor(private readonly followers: FeedFollowers) {}

  intercept(context: ExecutionContext, next: CallHandler<MessageEvent>): Observable<MessageEvent> {
    if (!Reflect.hasMetadata(SSE_METADATA, context.getHandler())) return next.handle();
    const { delegate } = context.switchToHttp().getRequest<FastifyRequest>();
    return defer(() => {
      const follower = this.followers.add(delegate as ApiKeyCaller);
      return next.handle().pipe(
        tap((event) => this.followers.sent(follower, event)),
        finalize(() => this.followers.remove(follower)),
      );
    });
  }
}
