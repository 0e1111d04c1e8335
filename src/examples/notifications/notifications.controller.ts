import { Controller, Headers, Sse, type MessageEvent } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiTags } from '@nestjs/swagger';
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

  /** An event for each new payment of the user. `Last-Event-ID` continues a stream where it broke off. */
  @Sse()
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'the id of the last event' })
  @ApiOkResponse(EVENT_STREAM)
  @ApiProblems('request.rate_limited')
  stream(
    @CurrentSession() { userId }: SessionSnapshot,
    @Headers('last-event-id') lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.notifications.of(userId, LastEventId.parse(lastEventId));
  }
}
