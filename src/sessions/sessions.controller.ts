import { Controller, Delete, Get, HttpStatus, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import { originOf } from '../common/request.js';
import { uuid } from '../common/schemas.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { CurrentSession } from './current-session.decorator.js';
import { Receipt } from './receipt.js';
import { RequireSession } from './require-session.decorator.js';
import { RevocationService } from './revocation.service.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { SessionList, SessionView, viewOf } from './session.schemas.js';
import { SessionsService } from './sessions.service.js';

const EndMany = z.strictObject({ except: z.literal('current').optional() });

/** People's own sessions. Admins go through another door to the same services. */
@ApiTags('sessions')
@Controller('sessions')
@RequireSession()
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  @Get()
  @ApiOkResponse({ standardSchema: SessionList })
  async list(@CurrentSession() current: SessionSnapshot) {
    const sessions = await this.sessions.list(current.userId);
    return { items: sessions.map((session) => this.view(session, current)) };
  }

  @Get('current')
  @ApiOkResponse({ standardSchema: SessionView })
  current(@CurrentSession() current: SessionSnapshot) {
    return this.view(current, current);
  }

  @Delete(':id')
  @ReceiptResponses()
  @ApiProblems('request.invalid', 'resource.not_found')
  async endOne(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() { userId }: SessionSnapshot,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const order = { reason: 'logout', actorId: userId, origin: originOf(request) } as const;
    return answerReceipt(reply, await this.revocations.endSession(id, order, userId));
  }

  @Delete()
  @ReceiptResponses()
  @ApiProblems('request.invalid')
  async endMany(
    @Query({ schema: EndMany }) { except }: z.infer<typeof EndMany>,
    @CurrentSession() { id, userId }: SessionSnapshot,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const by = { actorId: userId, origin: originOf(request) };
    const receipt = except
      ? await this.revocations.endSessions(userId, { except: id }, { ...by, reason: 'logout_others' })
      : await this.revocations.endSessions(userId, 'all', { ...by, reason: 'logout' });
    return answerReceipt(reply, receipt);
  }

  private view(session: SessionSnapshot, current: SessionSnapshot): SessionView {
    return { ...viewOf(session, this.settings, this.clock.now()), current: session.id === current.id };
  }
}

/** Documents the two answers of a revocation. */
export function ReceiptResponses(): MethodDecorator {
  return (target, key, descriptor) => {
    ApiOkResponse({ standardSchema: Receipt, description: 'applied' })(target, key, descriptor);
    ApiAcceptedResponse({ standardSchema: Receipt, description: 'pending, with the hard bounds' })(
      target,
      key,
      descriptor,
    );
  };
}

/** 200 when it is in force everywhere, 202 when a cache has yet to be told, 404 when there is no such thing. */
export function answerReceipt(reply: FastifyReply, receipt: Receipt | null): Receipt {
  if (!receipt) throw new Problem('resource.not_found');
  void reply.status(receipt.status === 'applied' ? HttpStatus.OK : HttpStatus.ACCEPTED);
  return receipt;
}
