import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Clock } from '../platform/runtime/clock.js';
import { Problem } from '../platform/api/problem.js';
import { uuid } from '../platform/api/schemas.js';
import { Settings } from '../platform/settings/settings.js';
import { AnswersReceipt } from '../sessions/revocation/answers-receipt.decorator.js';
import { RequireSession } from '../sessions/check/require-session.decorator.js';
import { RevocationService } from '../sessions/revocation/revocation.service.js';
import { SessionList, viewOf } from '../sessions/session.schemas.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { UserRepository } from '../users/user.repository.js';
import { AdminOnly } from './admin.decorator.js';
import { Everyone, Seq, SessionQuery, TokenId } from './admin.schemas.js';

/** Ends one session, the sessions of one user, or everyone's. Also denies one access token, whose session goes on. */
@Controller('admin')
@AdminOnly()
export class AdminSessionsController {
  constructor(
    private readonly users: UserRepository,
    private readonly sessions: SessionsService,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  @Get('users/:id/sessions')
  @ApiOperation({
    summary: 'List the sessions of a user',
    description: '`?status=` chooses live sessions (the default), ended ones, or all.',
  })
  @ApiOkResponse({ standardSchema: SessionList })
  @ApiProblems('request.invalid', 'resource.not_found')
  async ofUser(
    @Param('id', { schema: uuid }) id: string,
    @Query({ schema: SessionQuery }) { status }: z.output<typeof SessionQuery>,
  ) {
    await this.requireUser(id);
    const sessions = await this.sessions.list(id, status);
    return { items: sessions.map((session) => viewOf(session, this.settings, this.clock.now())) };
  }

  @Delete('users/:id/sessions')
  @ApiOperation({ summary: 'End all sessions of a user', description: 'The user may log in again.' })
  @AnswersReceipt()
  endUser(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.revocations.endUser(id, { ...actor, reason: 'admin' });
  }

  @Delete('sessions/:id')
  @ApiOperation({ summary: 'End a session' })
  @AnswersReceipt()
  endOne(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.revocations.endSession(id, { ...actor, reason: 'admin' });
  }

  @Delete('sessions')
  @ApiOperation({
    summary: 'End all sessions of everyone',
    description:
      'Needs the body `{"confirm":"everyone"}`. Many clients and proxies drop the body of a DELETE request: they use `POST /v1/admin/sessions/end-all`.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @AnswersReceipt()
  endEveryone(
    @Body({ schema: Everyone }) _confirmed: z.infer<typeof Everyone>,
    @Actor() actor: ActorContext,
  ) {
    return this.revocations.endEveryone({ ...actor, reason: 'admin_everyone' });
  }

  @Post('sessions/end-all')
  @ApiOperation({
    summary: 'End all sessions of everyone, by POST',
    description: 'The same as `DELETE /v1/admin/sessions`. It ends the session of this request as well.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @AnswersReceipt()
  endAll(@Body({ schema: Everyone }) confirmed: z.infer<typeof Everyone>, @Actor() actor: ActorContext) {
    return this.endEveryone(confirmed, actor);
  }

  @Delete('tokens/:jti')
  @ApiOperation({
    summary: 'Deny an access token',
    description: 'Refuses one access token by its `jti`. Its session goes on.',
  })
  @AnswersReceipt()
  denyToken(@Param('jti', { schema: TokenId }) tokenId: string, @Actor() actor: ActorContext) {
    return this.revocations.denyToken(tokenId, { ...actor, reason: 'admin' });
  }

  @Get('revocations/:seq')
  @ApiOperation({ summary: 'Read the receipt of a revocation', description: 'The receipt as it stands now.' })
  @AnswersReceipt()
  receipt(@Param('seq', { schema: Seq }) seq: string) {
    return this.revocations.receiptFor(seq);
  }

  private async requireUser(id: string): Promise<void> {
    if (!(await this.users.find(id))) throw new Problem('resource.not_found');
  }
}
