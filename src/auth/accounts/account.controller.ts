import { Controller, Delete, HttpCode, HttpStatus, Res } from '@nestjs/common';
import { ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import type { Principal } from '../../platform/http/request.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { clearCookies } from '../guards/cookies.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { Settings } from '../../platform/settings/settings.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { AccountService } from './account.service.js';

/**
 * Deletes the user's own account. It is not part of the profile controller, because the deletion ends every session.
 */
@ApiTags('users')
@Controller('users/me')
export class AccountController {
  constructor(
    private readonly accounts: AccountService,
    private readonly settings: Settings,
  ) {}

  @Delete()
  @ApiOperation({
    summary: 'Delete my account',
    description:
      'Ends every session, key and grant of the account, and deletes its data. The last admin cannot delete their account.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('resource.conflict')
  async delete(
    @CurrentUser() { userId }: Principal,
    @Actor() actor: ActorContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.accounts.delete(userId, actor);
    clearCookies(reply, ['access', 'refresh', 'device'], this.settings);
  }
}
