import { Body, Controller, HttpCode, HttpStatus, Param, Post, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import { Context } from '../../../platform/api/request-context.decorator.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { Throttled } from '../../../platform/throttling/throttled.decorator.js';
import { RequestCredentials, type Credentials } from '../../guards/credentials.js';
import { Public } from '../../guards/public.decorator.js';
import { providerName } from '../social.schemas.js';
import { GlobalRevocation } from './global-revocation.schemas.js';
import { GlobalRevocationService } from './global-revocation.service.js';

/**
 * For identity providers that end a user's access everywhere, such as Okta with Universal Logout
 * (draft-parecki-oauth-global-token-revocation).
 */
@ApiTags('social')
@Controller('auth/social/:provider/global-token-revocation')
export class GlobalRevocationController {
  constructor(private readonly revocation: GlobalRevocationService) {}

  @Post()
  @ApiOperation({
    summary: 'End all sessions of a user, as their identity provider',
    description: 'Ends all sessions and grants of one user. The provider signs the bearer token.',
  })
  @Public()
  @Throttled('global_revocation')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse({ description: 'applied: every instance refuses the sessions' })
  @ApiAcceptedResponse({ description: 'pending: every instance refuses the sessions within `CACHE_LEASE`' })
  @ApiProblems(
    'request.invalid',
    'auth.unauthenticated',
    'auth.invalid_token',
    'resource.not_found',
    'auth.unavailable',
  )
  async end(
    @Param('provider', { schema: providerName }) provider: string,
    @Body({ schema: GlobalRevocation }) { sub_id: subject }: GlobalRevocation,
    @RequestCredentials() { transport, accessToken }: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const token = transport === 'bearer' ? accessToken : null;
    const status = await this.revocation.end(provider, token, subject, context);
    if (status === 'pending') void reply.status(HttpStatus.ACCEPTED);
  }
}
