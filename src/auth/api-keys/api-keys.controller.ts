import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import { uuid } from '../../platform/api/schemas.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Clock } from '../../platform/runtime/clock.js';
import { mayHave, SCOPES, type Scope } from '../../scopes.js';
import { CurrentSession } from '../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { AnswersReceipt } from '../../sessions/revocation/answers-receipt.decorator.js';
import { ApiKeyFormat } from './api-key-format.js';
import type { StoredApiKey } from './api-key.js';
import {
  ApiKeyList,
  apiKeyViewOf,
  ApiKeyWithSecret,
  NewApiKey,
  RotatedApiKey,
  Rotation,
  ScopeList,
} from './api-key.schemas.js';
import { ApiKeysService } from './api-keys.service.js';

/** The API keys of the caller, for programs that act for the account. A change needs a recent proof of identity. */
@ApiTags('api-keys')
@Controller('api-keys')
export class ApiKeysController {
  constructor(
    private readonly apiKeys: ApiKeysService,
    private readonly format: ApiKeyFormat,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List my API keys', description: 'Without their secrets.' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: ApiKeyList })
  async list(@CurrentSession() { userId }: SessionSnapshot) {
    return { items: (await this.apiKeys.list(userId)).map((key) => this.view(key)) };
  }

  /** The scopes that a key of the caller may have. */
  @Get('scopes')
  @ApiOperation({ summary: 'List the scopes that my API keys may have' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: ScopeList })
  scopes(@CurrentSession() { roles }: SessionSnapshot) {
    const allowed = SCOPES.names().filter((scope) => mayHave(scope as Scope, roles));
    return { items: allowed.map((scope) => ({ scope, description: SCOPES.get(scope).description })) };
  }

  @Post()
  @ApiOperation({
    summary: 'Create an API key',
    description: 'The answer shows the key. It is not shown again.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @ApiCreatedResponse({ standardSchema: ApiKeyWithSecret })
  @ApiProblems('request.invalid', 'resource.conflict')
  async create(
    @Body({ schema: NewApiKey }) wanted: NewApiKey,
    @CurrentSession() session: SessionSnapshot,
    @Context() context: RequestContext,
  ) {
    const { key, stored } = await this.apiKeys.create(session, wanted, context);
    return { ...this.view(stored), key };
  }

  @Post(':id/rotate')
  @ApiOperation({
    summary: 'Give an API key a new secret',
    description: 'The answer shows the new secret. The former one is accepted for the overlap.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: RotatedApiKey })
  @ApiProblems('request.invalid', 'resource.not_found', 'resource.conflict')
  async rotate(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: Rotation }) { overlapSeconds }: z.infer<typeof Rotation>,
    @CurrentSession() session: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    const { key, stored, receipt } = await this.apiKeys.rotate(session, id, overlapSeconds * 1_000, actor);
    return { ...this.view(stored), key, receipt };
  }

  @Delete(':id')
  @ApiOperation({ summary: 'End one of my API keys' })
  @RequireSession({ maxAuthAge: '5m' })
  @AnswersReceipt()
  end(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() { userId }: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    return this.apiKeys.end(id, { ...actor, reason: 'revoked' }, userId);
  }

  private view(key: StoredApiKey) {
    return apiKeyViewOf(key, this.format, this.clock.now());
  }
}
