import { Controller, Delete, Get, Param, Query, Sse, type MessageEvent } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NEVER, type Observable } from 'rxjs';
import { z } from 'zod';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Clock } from '../platform/runtime/clock.js';
import { EVENT_STREAM, uuid } from '../platform/api/schemas.js';
import { Settings } from '../platform/settings/settings.js';
import { AnswersReceipt } from './revocation/answers-receipt.decorator.js';
import { CurrentSession } from './check/current-session.decorator.js';
import { RequireSession } from './check/require-session.decorator.js';
import { RevocationService } from './revocation/revocation.service.js';
import type { SessionSnapshot } from './check/session-snapshot.js';
import { SessionList, SessionView, viewOf } from './session.schemas.js';
import { SessionsService } from './sessions.service.js';

const EndMany = z.strictObject({ except: z.literal('current').optional() });

/** The user's own sessions. The admin endpoints use the same services. */
@ApiTags('sessions')
@Controller('sessions')
@RequireSession()
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List my sessions', description: 'The live sessions, newest first.' })
  @ApiOkResponse({ standardSchema: SessionList })
  async list(@CurrentSession() current: SessionSnapshot) {
    const sessions = await this.sessions.list(current.userId);
    return { items: sessions.map((session) => this.view(session, current)) };
  }

  @Get('current')
  @ApiOperation({
    summary: 'Read my current session',
    description: 'The answer needs no lookup beyond the session check.',
  })
  @ApiOkResponse({ standardSchema: SessionView })
  current(@CurrentSession() current: SessionSnapshot) {
    return this.view(current, current);
  }

  /** Tells a page at once that the session has ended. The stream has no other event than `session_ended`. */
  @Sse('current/events')
  @ApiOperation({ summary: 'Learn at once that my session has ended' })
  @ApiOkResponse(EVENT_STREAM)
  @ApiProblems('request.rate_limited')
  events(): Observable<MessageEvent> {
    return NEVER;
  }

  @Delete(':id')
  @ApiOperation({ summary: 'End one of my sessions' })
  @AnswersReceipt()
  endOne(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() { userId }: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    return this.revocations.endSession(id, { ...actor, reason: 'logout' }, userId);
  }

  @Delete()
  @ApiOperation({
    summary: 'End all my sessions',
    description: '`?except=current` keeps the session of this request.',
  })
  @AnswersReceipt()
  endMany(
    @Query({ schema: EndMany }) { except }: z.infer<typeof EndMany>,
    @CurrentSession() { id, userId }: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    return except
      ? this.revocations.endSessions(userId, { except: id }, { ...actor, reason: 'logout_others' })
      : this.revocations.endSessions(userId, 'all', { ...actor, reason: 'logout' });
  }

  private view(session: SessionSnapshot, current: SessionSnapshot): SessionView {
    return { ...viewOf(session, this.settings, this.clock.now()), current: session.id === current.id };
  }
}
