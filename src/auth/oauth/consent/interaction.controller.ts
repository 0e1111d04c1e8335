import {
  Controller,
  Get,
  Header,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Req,
  Res,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PRODUCT } from '../../../product.js';
import { EXAMPLE_USER } from '../../../platform/api/examples.js';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import { Problem } from '../../../platform/api/problem.js';
import { Context } from '../../../platform/api/request-context.decorator.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { CurrentSession } from '../../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../../sessions/check/session-snapshot.js';
import { Public } from '../../guards/public.decorator.js';
import { OAuthProvider } from '../provider/oauth-provider.js';
import { ConsentService } from './consent.service.js';
import { CONSENT_PAGE, CONSENT_SCRIPT, CONSENT_STYLE, PAGE_POLICY } from './pages.js';

/** As the library makes it. */
const uid = z
  .string()
  .regex(/^[\w-]{43}$/, 'is not the name of an authorization')
  .meta({ examples: ['the-name-of-the-authorization'.padEnd(43, '-')] });

const ConsentView = z
  .object({
    account: z
      .string()
      .describe('the e-mail address of the caller')
      .meta({ examples: [EXAMPLE_USER.email] }),
    app: z.object({
      id: z.string().meta({ examples: ['notes'] }),
      name: z
        .string()
        .describe('as the app has given it to itself')
        .meta({ examples: ['Notes'] }),
      uri: z.string().optional(),
      redirectsTo: z
        .string()
        .describe('the host to which the browser goes on')
        .meta({ examples: ['notes.example'] }),
    }),
    access: z.array(
      z.object({
        service: z.string().meta({ examples: [PRODUCT.name] }),
        scopes: z.array(
          z.object({
            scope: z.string().meta({ examples: ['openid'] }),
            description: z.string().meta({ examples: ['Know who you are'] }),
          }),
        ),
      }),
    ),
    outlivesSession: z.boolean(),
  })
  .meta({ id: 'ConsentRequest' });

const Decision = z
  .object({ redirectTo: z.string().meta({ examples: ['https://notes.example/callback?code=…'] }) })
  .meta({ id: 'ConsentDecision' });

/** The page on which a user logs in and decides what an app may do. Its script uses the routes below it. */
@ApiTags('oauth')
@Controller({ path: 'oauth/interaction', version: VERSION_NEUTRAL })
export class InteractionController {
  constructor(
    private readonly consent: ConsentService,
    private readonly provider: OAuthProvider,
  ) {}

  @Get('consent.js')
  @Public()
  @ApiExcludeEndpoint()
  @Header('content-type', 'text/javascript; charset=utf-8')
  script() {
    return this.asset(CONSENT_SCRIPT);
  }

  @Get('consent.css')
  @Public()
  @ApiExcludeEndpoint()
  @Header('content-type', 'text/css; charset=utf-8')
  style() {
    return this.asset(CONSENT_STYLE);
  }

  @Get(':uid')
  @Public()
  @ApiExcludeEndpoint()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', PAGE_POLICY)
  page(@Param('uid', { schema: uid }) _uid: string) {
    return this.asset(CONSENT_PAGE);
  }

  @Get(':uid/request')
  @ApiOperation({ summary: 'Read what an app asks for', description: 'For the page of consent.' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: ConsentView })
  @ApiProblems('request.invalid', 'resource.not_found')
  read(
    @Param('uid', { schema: uid }) name: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @CurrentSession() session: SessionSnapshot,
  ) {
    return this.consent.read(name, request, reply, session);
  }

  @Post(':uid/allow')
  @ApiOperation({
    summary: 'Give an app what it asks for',
    description: 'If the access outlives the session, it needs a recent proof of identity.',
  })
  @RequireSession()
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: Decision })
  @ApiProblems('request.invalid', 'resource.not_found', 'auth.reauthentication_required')
  async allow(
    @Param('uid', { schema: uid }) name: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @CurrentSession() session: SessionSnapshot,
    @Context() context: RequestContext,
  ) {
    return { redirectTo: await this.consent.allow(name, request, reply, session, context) };
  }

  @Post(':uid/deny')
  @ApiOperation({ summary: 'Refuse what an app asks for' })
  @RequireSession()
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: Decision })
  @ApiProblems('request.invalid', 'resource.not_found')
  async deny(
    @Param('uid', { schema: uid }) name: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return { redirectTo: await this.consent.deny(name, request, reply) };
  }

  private asset(text: string): string {
    if (!this.provider.isOn) throw new Problem('resource.not_found');
    return text;
  }
}
