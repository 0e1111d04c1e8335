import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import { uuid } from '../../platform/api/schemas.js';
import { CurrentSession } from '../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { AnswersReceipt } from '../../sessions/revocation/answers-receipt.decorator.js';
import { GrantList, grantViewOf } from './grant.schemas.js';
import { GrantsService } from './grants.service.js';

/** The apps that have access on the caller's behalf. */
@ApiTags('grants')
@Controller('grants')
export class GrantsController {
  constructor(private readonly grants: GrantsService) {}

  @Get()
  @ApiOperation({ summary: 'List the apps with access on my behalf' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: GrantList })
  async list(@CurrentSession() { userId }: SessionSnapshot) {
    return { items: (await this.grants.list(userId)).map(grantViewOf) };
  }

  /** Ends the access of an app. */
  @Delete(':id')
  @ApiOperation({ summary: 'End the access of an app to my account' })
  @RequireSession({ maxAuthAge: '5m' })
  @AnswersReceipt()
  end(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() { userId }: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    return this.grants.end(id, { ...actor, reason: 'revoked' }, userId);
  }
}
