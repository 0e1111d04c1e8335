import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { AdminOnly } from '../../admin/admin.decorator.js';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { uuid } from '../../platform/api/schemas.js';
import { AnswersReceipt } from '../../sessions/revocation/answers-receipt.decorator.js';
import { UserRepository } from '../../users/user.repository.js';
import { GrantList, grantViewOf } from './grant.schemas.js';
import { GrantsService } from './grants.service.js';

/** Lists the apps with access on behalf of a user, and ends single grants. A force-logout of the user ends all. */
@Controller('admin')
@AdminOnly()
export class AdminGrantsController {
  constructor(
    private readonly users: UserRepository,
    private readonly grants: GrantsService,
  ) {}

  @Get('users/:id/grants')
  @ApiOperation({ summary: 'List the apps with access on behalf of a user' })
  @ApiOkResponse({ standardSchema: GrantList })
  @ApiProblems('request.invalid', 'resource.not_found')
  async ofUser(@Param('id', { schema: uuid }) id: string) {
    if (!(await this.users.find(id))) throw new Problem('resource.not_found');
    return { items: (await this.grants.list(id)).map(grantViewOf) };
  }

  @Delete('grants/:id')
  @ApiOperation({ summary: 'End the access of an app to a user' })
  @AnswersReceipt()
  end(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.grants.end(id, { ...actor, reason: 'admin' });
  }
}
