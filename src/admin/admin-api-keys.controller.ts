import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiKeyFormat } from '../auth/api-keys/api-key-format.js';
import { ApiKeyList, apiKeyViewOf } from '../auth/api-keys/api-key.schemas.js';
import { ApiKeysService } from '../auth/api-keys/api-keys.service.js';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Problem } from '../platform/api/problem.js';
import { uuid } from '../platform/api/schemas.js';
import { Clock } from '../platform/runtime/clock.js';
import { AnswersReceipt } from '../sessions/revocation/answers-receipt.decorator.js';
import { UserRepository } from '../users/user.repository.js';
import { AdminOnly } from './admin.decorator.js';

/** Lists the API keys of a user, and ends single ones. A ban ends all keys of a user. */
@Controller('admin')
@AdminOnly()
export class AdminApiKeysController {
  constructor(
    private readonly users: UserRepository,
    private readonly apiKeys: ApiKeysService,
    private readonly format: ApiKeyFormat,
    private readonly clock: Clock,
  ) {}

  @Get('users/:id/api-keys')
  @ApiOperation({ summary: 'List the API keys of a user' })
  @ApiOkResponse({ standardSchema: ApiKeyList })
  @ApiProblems('request.invalid', 'resource.not_found')
  async ofUser(@Param('id', { schema: uuid }) id: string) {
    if (!(await this.users.find(id))) throw new Problem('resource.not_found');
    const keys = await this.apiKeys.list(id);
    return { items: keys.map((key) => apiKeyViewOf(key, this.format, this.clock.now())) };
  }

  @Delete('api-keys/:id')
  @ApiOperation({ summary: 'End an API key' })
  @AnswersReceipt()
  end(@Param('id', { schema: uuid }) id: string, @Actor() actor: ActorContext) {
    return this.apiKeys.end(id, { ...actor, reason: 'admin' });
  }
}
