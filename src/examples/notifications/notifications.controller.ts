import { Controller, Headers, Sse, type MessageEvent } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import { ApiProblems, CurrentSession, EVENT_STREAM, RequireSession, uuid, type SessionSnapshot } from '#core';
import { NotificationsService } from './notifications.service.js';

const LastEventId = uuid.optional().catch(undefined);

/** An event stream of the session tier. It ends with its session, and each event is checked before it is sent. */
@ApiTags('examples')
@Controller('notifications')
@RequireSession()
export class NotificationsController {
  constructor(private readonly notifications: NotificationsService) {}

  @Sse()
  @ApiOperation({
    summary: 'Follow my payments',
    description:
      'An event for each new payment of the user. `Last-Event-ID` continues a stream where it broke off.',
  })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'the id of the last event' })
  @ApiOkResponse(EVENT_STREAM)
  @ApiProblems('request.rate_limited')
  stream(
    @CurrentSession() { userId }: SessionSnapshot,
    @Headers('Last-Event-ID') lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.notifications.of(userId, LastEventId.parse(lastEventId));
  }
}
