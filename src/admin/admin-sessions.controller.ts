import { Body, Controller, Delete, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CurrentUser } from '../auth/current-user.decorator.js';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import { originOf, type Principal } from '../common/request.js';
import { uuid } from '../common/schemas.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Receipt } from '../sessions/receipt.js';
import { RequireSession } from '../sessions/require-session.decorator.js';
import { RevocationService } from '../sessions/revocation.service.js';
import { SessionList, viewOf } from '../sessions/session.schemas.js';
import { answerReceipt, ReceiptResponses } from '../sessions/sessions.controller.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { UsersService } from '../users/users.service.js';
import { AdminOnly } from './admin.decorator.js';
import { Everyone, Seq, SessionQuery } from './admin.schemas.js';

/** Force-logout of one session, one user, everyone. */
@Controller('admin')
@AdminOnly()
export class AdminSessionsController {
  constructor(
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  @Get('users/:id/sessions')
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
  @ReceiptResponses()
  @ApiProblems('request.invalid', 'resource.not_found')
  async endUser(
    @Param('id', { schema: uuid }) id: string,
    @CurrentUser() { userId: actorId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    await this.requireUser(id);
    const order = { reason: 'admin', actorId, origin: originOf(request) } as const;
    return answerReceipt(reply, await this.revocations.endSessions(id, 'all', order));
  }

  @Delete('sessions/:id')
  @ReceiptResponses()
  @ApiProblems('request.invalid', 'resource.not_found')
  async endOne(
    @Param('id', { schema: uuid }) id: string,
    @CurrentUser() { userId: actorId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const order = { reason: 'admin', actorId, origin: originOf(request) } as const;
    return answerReceipt(reply, await this.revocations.endSession(id, order));
  }

  @Delete('sessions')
  @RequireSession({ maxAuthAge: '5m' })
  @ReceiptResponses()
  @ApiProblems('request.invalid')
  async endEveryone(
    @Body({ schema: Everyone }) _confirmed: z.infer<typeof Everyone>,
    @CurrentUser() { userId: actorId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const order = { reason: 'admin_everyone', actorId, origin: originOf(request) } as const;
    return answerReceipt(reply, await this.revocations.endEveryone(order));
  }

  @Get('revocations/:seq')
  @ApiOkResponse({ standardSchema: Receipt })
  @ApiProblems('request.invalid', 'resource.not_found')
  async receipt(@Param('seq', { schema: Seq }) seq: string) {
    const receipt = await this.revocations.receiptFor(seq);
    if (!receipt) throw new Problem('resource.not_found');
    return receipt;
  }

  private async requireUser(id: string): Promise<void> {
    if (!(await this.users.find(id))) throw new Problem('resource.not_found');
  }
}
