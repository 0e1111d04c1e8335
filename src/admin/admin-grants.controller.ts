import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { GrantList, grantViewOf } from '../auth/oauth/grant.schemas.js';
import { GrantsService } from '../auth/oauth/grants.service.js';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Problem } from '../platform/api/problem.js';
import { uuid } from '../platform/api/schemas.js';
import { AnswersReceipt } from '../sessions/revocation/answers-receipt.decorator.js';
import { UserRepository } from '../users/user.repository.js';
import { AdminOnly } from './admin.decorator.js';

/** Lists the apps with access on behalf of a user, and ends single grants. A force-logout of the user ends all. */
@Controller('admin')
@AdminOnly()
export class AdminGrantsController {
  constructor(
    private readonly users: UserRepository,
    private readonly grants: GrantsService,
  ) {}

  @Get('users/:id/grants')
  @ApiOkResponse({ standardSchema: GrantList })
  @ApiProblems('request.invalid', 'resource.not_found')
  async ofUser(@Param('id', { schema: uuid }) id: string) {
    if (!(await this.users.find(id))) throw new Problem('resource.not_found');
    return { items: (await this.grants.list(id)).map(grantViewOf) };
  }

  @Delete('grants/:id')
  @AnswersReceipt()
  end(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.grants.end(id, { ...actor, reason: 'admin' });
  }
}
