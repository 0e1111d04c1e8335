import { Controller, Headers, HttpCode, HttpStatus, Post, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { SessionBindings } from '../../sessions/binding/session-bindings.service.js';
import { parseRefreshToken } from '../../sessions/refresh/refresh-token.js';
import { AnswersWithCookies } from '../guards/answers-with-cookies.decorator.js';
import { RequestCredentials, type Credentials } from '../guards/credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { Public } from '../guards/public.decorator.js';
import { BoundCookieResponder } from './bound-cookie-responder.js';
import { SessionInstructions, SessionStopped } from './device-binding.schemas.js';

const ProofHeader = () =>
  ApiHeader({
    name: 'Secure-Session-Response',
    required: false,
    description: 'a JWT of the type `dbsc+jwt`, signed with the device key',
  });

/** Browsers call these routes by themselves: Device Bound Session Credentials (W3C). Pages and apps do not. */
@ApiTags('device binding')
@Controller('auth/binding')
export class DeviceBindingController {
  constructor(
    private readonly bindings: SessionBindings,
    private readonly responder: BoundCookieResponder,
  ) {}

  @Post('register')
  @ApiOperation({
    summary: 'Bind the session to the device',
    description:
      'A browser answers the `Secure-Session-Registration` header of a login or refresh with a new key.',
  })
  @Throttled('device_binding')
  @HttpCode(HttpStatus.OK)
  @ProofHeader()
  @ApiOkResponse({ standardSchema: SessionInstructions })
  @ApiProblems(
    'request.invalid',
    'request.cross_site',
    'auth.unauthenticated',
    'auth.invalid_token',
    'auth.token_expired',
    'auth.session_ended',
    'resource.conflict',
    'auth.unavailable',
  )
  async register(
    @CurrentUser() user: Principal,
    @Headers('secure-session-response') proof: string | undefined,
    @Context() context: RequestContext,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionInstructions> {
    const bound = await this.bindings.bind(user, proof ?? '', context);
    this.responder.setAccessCookie(reply, bound);
    return this.responder.send(reply, bound, request.hostname);
  }

  @Post('refresh')
  @ApiOperation({
    summary: 'Prove the device key again',
    description:
      'A browser gets a challenge (403), signs it, and gets a new bound cookie. For an ended session the answer is `{"continue": false}`.',
  })
  @Public()
  @AnswersWithCookies(() => true)
  @Throttled('device_binding')
  @HttpCode(HttpStatus.OK)
  @ApiHeader({ name: 'Sec-Secure-Session-Id', required: false, description: 'the `session_identifier`' })
  @ProofHeader()
  @ApiOkResponse({ standardSchema: z.union([SessionInstructions, SessionStopped]) })
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.device_proof_required', 'auth.unavailable')
  async refresh(
    @Headers('sec-secure-session-id') id: string | undefined,
    @Headers('secure-session-response') proof: string | undefined,
    @RequestCredentials() { refreshToken }: Credentials,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionInstructions | SessionStopped> {
    const sessionId = z.uuid().safeParse(id?.replace(/^"(.*)"$/, '$1')).data;
    if (!sessionId) return { continue: false };
    const renewal = isReplaced(sessionId, refreshToken)
      ? ENDED
      : await this.bindings.renew(sessionId, proof ?? null);
    return this.responder.answer(reply, renewal, { sessionId, host: request.hostname });
  }
}

const ENDED = { outcome: 'ended' } as const;

/**
 * Whether the browser has another session by now. A login ends the session that it replaces, but not if the browser has lost
 * that session's cookies before. Then the browser must not overwrite the bound cookie of its new session. A request for a
 * link of another site has no cookies, and says nothing about this.
 */
function isReplaced(sessionId: string, refreshToken: string | null): boolean {
  const inJar = refreshToken === null ? null : parseRefreshToken(refreshToken);
  return inJar !== null && inJar.sessionId !== sessionId;
}
