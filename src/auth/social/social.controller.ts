import {
  Body,
  Controller,
  Delete,
  Get,
  Header,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Query,
  Redirect,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiExcludeEndpoint,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import { uuid } from '../../platform/api/schemas.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { CurrentSession } from '../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { RequestCredentials, type Credentials } from '../guards/credentials.js';
import { Public } from '../guards/public.decorator.js';
import { IdentitiesService } from './identities.service.js';
import {
  IdentityList,
  identityViewOf,
  LinkBegun,
  NewLink,
  ProviderList,
  providerName,
  Start,
} from './social.schemas.js';
import { SocialClients } from './social-clients.js';
import { SocialFlow } from './social-flow.js';

/** A redirect of the browser. */
interface Redirection {
  url: string;
  statusCode: number;
}

const seeOther = (url: string): Redirection => ({ url, statusCode: HttpStatus.SEE_OTHER });

/** Sign-in with an outside account, and the outside accounts of the caller. */
@ApiTags('social')
@Controller('auth')
export class SocialController {
  constructor(
    private readonly flow: SocialFlow,
    private readonly identities: IdentitiesService,
    private readonly clients: SocialClients,
  ) {}

  /** The providers whose accounts this service accepts, for the buttons of a login page. */
  @Get('social')
  @Public()
  @Header('cache-control', 'public, max-age=300')
  @ApiOperation({ summary: 'List the providers of outside accounts' })
  @ApiOkResponse({ standardSchema: ProviderList })
  providers() {
    return { items: this.clients.configured() };
  }

  /** A page leads the browser here. The browser goes on to the provider. */
  @Get('social/:provider/start')
  @Public()
  @Throttled('social')
  @Redirect()
  @ApiExcludeEndpoint()
  async start(
    @Param('provider', { schema: providerName }) provider: string,
    @Query({ schema: Start }) { returnTo }: Start,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Redirection> {
    return seeOther(await this.flow.begin(provider, returnTo, reply));
  }

  /** The provider leads the browser here. The browser goes on to `returnTo`, with the result in the fragment. */
  @Get('social/:provider/callback')
  @Public()
  @Throttled('social')
  @Redirect()
  @ApiExcludeEndpoint()
  async callback(
    @Param('provider', { schema: providerName }) provider: string,
    @RequestCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Redirection> {
    return seeOther(await this.flow.complete(provider, { credentials, context, request, reply }));
  }

  @Get('identities')
  @ApiOperation({ summary: 'List my outside accounts' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: IdentityList })
  async list(@CurrentSession() { userId }: SessionSnapshot) {
    const { identities, hasPassword } = await this.identities.list(userId);
    return { items: identities.map(identityViewOf), hasPassword };
  }

  @Post('identities')
  @ApiOperation({
    summary: 'Begin to link an outside account',
    description: 'The page then leads the browser to `redirectTo`.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @Throttled('social')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: LinkBegun })
  @ApiProblems('request.invalid', 'resource.not_found')
  async link(
    @Body({ schema: NewLink }) { provider, returnTo }: NewLink,
    @CurrentSession() session: SessionSnapshot,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return { redirectTo: await this.flow.begin(provider, returnTo, reply, session) };
  }

  @Delete('identities/:id')
  @ApiOperation({
    summary: 'Unlink one of my outside accounts',
    description: "The caller's last way to log in cannot be removed.",
  })
  @RequireSession({ maxAuthAge: '5m' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'resource.not_found', 'resource.conflict')
  unlink(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() session: SessionSnapshot,
    @Context() context: RequestContext,
  ): Promise<void> {
    return this.identities.unlink(session, id, context);
  }
}
