import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { AccountService } from '../auth/accounts/account.service.js';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Clock } from '../platform/runtime/clock.js';
import { decodeCursor, pageOf } from '../platform/api/page.js';
import { invalidRequest, Problem } from '../platform/api/problem.js';
import { uuid } from '../platform/api/schemas.js';
import { MfaResetService } from '../auth/mfa/mfa-reset.service.js';
import { AnswersReceipt } from '../sessions/revocation/answers-receipt.decorator.js';
import { RequireSession } from '../sessions/check/require-session.decorator.js';
import type { User } from '../users/user.entity.js';
import { UserRepository } from '../users/user.repository.js';
import { AdminOnly } from './admin.decorator.js';
import { AdminUser, AdminUserPage, adminViewOf, Ban, RoleChange, UserQuery } from './admin.schemas.js';

/**
 * The detail of the refusal. If admins could reset their own factors here, a password alone would be enough to remove
 * a factor.
 */
const OWN_FACTORS =
  'You cannot reset your own second factors here. Use `DELETE /v1/auth/mfa/totp`, or ask another admin.';

const Position = z.tuple([z.iso.datetime().transform((value) => new Date(value)), uuid]);

/** Lists users, and changes their bans, roles and second factors. */
@Controller('admin/users')
@AdminOnly()
export class AdminUsersController {
  constructor(
    private readonly users: UserRepository,
    private readonly accounts: AccountService,
    private readonly mfaReset: MfaResetService,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List users',
    description: 'Newest first, in pages. `query` is the beginning of an address.',
  })
  @ApiOkResponse({ standardSchema: AdminUserPage })
  @ApiProblems('request.invalid')
  async list(@Query({ schema: UserQuery }) { limit, cursor, query }: z.output<typeof UserQuery>) {
    const position = decodeCursor(cursor, Position);
    const before = position && { createdAt: position[0], id: position[1] };
    const found = await this.users.list({ limit: limit + 1, before, query });
    return pageOf(found, limit, {
      view: (user) => this.view(user),
      position: ({ createdAt, id }) => [createdAt, id],
    });
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read a user' })
  @ApiOkResponse({ standardSchema: AdminUser })
  @ApiProblems('request.invalid', 'resource.not_found')
  async one(@Param('id', { schema: uuid }) id: string) {
    const user = await this.users.find(id);
    if (!user || user.deletedAt) throw new Problem('resource.not_found');
    return this.view(user);
  }

  @Post(':id/ban')
  @ApiOperation({
    summary: 'Ban a user',
    description:
      'Ends every session, key and grant of the user. A ban refuses logins until its end, or until an admin lifts it.',
  })
  @AnswersReceipt()
  @ApiProblems('resource.conflict')
  ban(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: Ban }) ban: z.output<typeof Ban>,
    @Actor() actor: ActorContext,
  ) {
    if (ban.until && ban.until.getTime() <= this.clock.now()) {
      throw invalidRequest([{ path: 'until', message: 'must be in the future' }]);
    }
    return this.accounts.ban(id, ban, actor);
  }

  @Delete(':id/ban')
  @ApiOperation({
    summary: 'Lift the ban of a user',
    description: 'The user may log in again. Ended sessions stay ended.',
  })
  @AnswersReceipt()
  liftBan(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.accounts.liftBan(id, actor);
  }

  @Delete(':id/mfa')
  @ApiOperation({
    summary: 'Remove all second factors of a user',
    description:
      'For a user who has lost all second factors and recovery codes. Ends all sessions of the user.',
  })
  @RequireSession({ maxAuthAge: '5m', bySecondFactor: true })
  @AnswersReceipt()
  @ApiProblems('resource.conflict')
  resetSecondFactors(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    if (id === actor.actorId) throw new Problem('resource.conflict', { detail: OWN_FACTORS });
    return this.mfaReset.reset(id, actor);
  }

  @Put(':id/roles')
  @ApiOperation({
    summary: 'Set the roles of a user',
    description:
      'The new roles are in force on the next session-checked request. The last admin keeps the role.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @ApiOkResponse({ standardSchema: AdminUser })
  @ApiProblems('request.invalid', 'resource.not_found', 'resource.conflict')
  async setRoles(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: RoleChange }) { roles }: z.infer<typeof RoleChange>,
    @Actor() actor: ActorContext,
  ) {
    return this.view(await this.accounts.setRoles(id, [...new Set(roles)], actor));
  }

  private view(user: User) {
    return adminViewOf(user, this.clock.now());
  }
}
