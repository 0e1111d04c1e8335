import {
  Controller,
  Get,
  Header,
  Headers,
  Query,
  Sse,
  UseInterceptors,
  type MessageEvent,
} from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import type { z } from 'zod';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { AllowApiKey } from '../guards/allow-scope.decorator.js';
import { FeedFollowersInterceptor } from './feed-followers.interceptor.js';
import { FeedQuery, FeedSnapshot } from './revocation-feed.schemas.js';
import { RevocationFeed } from './revocation-feed.service.js';
import { REVOCATIONS_READ } from './scopes.js';

/** The feed that verifiers follow: `docs/reference/revocation-feed.md`. */
@ApiTags('revocations')
@Controller('revocations')
@AllowApiKey(REVOCATIONS_READ, { machinesOnly: true })
@UseInterceptors(FeedFollowersInterceptor)
export class RevocationFeedController {
  constructor(private readonly feed: RevocationFeed) {}

  @Get('snapshot')
  @ApiOperation({
    summary: 'Read all revocations in force',
    description: 'The complete list, and the cursor from which the stream continues.',
  })
  @Header('content-type', 'application/json; charset=utf-8')
  @ApiOkResponse({ standardSchema: FeedSnapshot })
  snapshot(): string {
    return this.feed.snapshot();
  }

  @Sse('stream')
  @ApiOperation({
    summary: 'Follow the revocations',
    description:
      'Server-sent events: each revocation as it is applied, and a signed heartbeat each second. The stream does not end by itself.',
  })
  @ApiProduces('text/event-stream')
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'the cursor of the last known event' })
  @ApiOkResponse({
    description: '`revocation`, `heartbeat` and `list_again` events',
    schema: { type: 'string' },
  })
  @ApiProblems('request.invalid')
  stream(
    @Query({ schema: FeedQuery }) { after }: z.output<typeof FeedQuery>,
    @Headers('Last-Event-ID') lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.feed.stream(lastEventId || after);
  }
}
