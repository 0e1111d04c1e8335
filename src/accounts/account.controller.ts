import { Controller, Delete, HttpCode, HttpStatus, Inject, Res } from '@nestjs/common';
import { ApiNoContentResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Actor, type Acting } from '../common/actor.decorator.js';
import type { Principal } from '../common/request.js';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { clearCookies } from '../auth/cookies.js';
import { CurrentUser } from '../auth/current-user.decorator.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { RequireSession } from '../sessions/require-session.decorator.js';
import { AccountService } from './account.service.js';

/**
 * Deletes the user's own account. It is not part of the profile controller, because the deletion ends every session.
 */
@ApiTags('users')
@Controller('users/me')
export class AccountController {
  constructor(
    private readonly accounts: AccountService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  @Delete()
  @RequireSession({ maxAuthAge: '5m' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('resource.conflict')
  async delete(
    @CurrentUser() { userId }: Principal,
    @Actor() actor: Acting,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.accounts.delete(userId, actor);
    clearCookies(reply, ['access', 'refresh', 'device'], this.settings.cookieSecure);
  }
}
