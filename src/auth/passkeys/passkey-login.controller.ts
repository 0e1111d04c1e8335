import { Body, Controller, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { PasskeyRequestOptions } from './webauthn/webauthn.schemas.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import type { Grant } from '../login/auth.schemas.js';
import { AcceptsKeyProof } from '../device-binding/accepts-key-proof.decorator.js';
import { ProvenCredentials } from '../device-binding/proven-credentials.js';
import type { Credentials } from '../guards/credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { GRANT_ANSWER, LoginRoute } from '../login/login-route.decorator.js';
import { TokenResponder } from '../login/token-responder.js';
import { PasskeyLoginService } from './passkey-login.service.js';
import { PasskeyLogin, PasskeyLoginOptions, PasskeyStepUp } from './passkey.schemas.js';
import { Public } from '../guards/public.decorator.js';

@ApiTags('passkeys')
@Controller('auth')
export class PasskeyLoginController {
  constructor(
    private readonly logins: PasskeyLoginService,
    private readonly tokenResponder: TokenResponder,
  ) {}

  @Post('login/passkey/options')
  @ApiOperation({
    summary: 'Begin a login with a passkey',
    description: 'Options for `navigator.credentials.get()`. The user does not have to enter a name.',
  })
  @Public()
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyLoginOptions })
  @ApiProblems('request.cross_site', 'auth.unavailable')
  loginOptions(): Promise<PasskeyLoginOptions> {
    return this.logins.loginOptions();
  }

  @Post('login/passkey')
  @ApiOperation({ summary: 'Log in with a passkey', description: 'A passkey counts as both factors.' })
  @LoginRoute({ throttled: 'passkey', isBearer: ({ transport }) => transport === 'bearer' })
  async login(
    @Body({ schema: PasskeyLogin }) login: PasskeyLogin,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.logins.login(login, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }

  @Post('reauthenticate/passkey/options')
  @ApiOperation({
    summary: 'Begin to prove my identity with a passkey',
    description: "Options for `navigator.credentials.get()`, limited to the caller's own passkeys.",
  })
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyRequestOptions })
  stepUpOptions(@CurrentUser() user: Principal): Promise<PasskeyRequestOptions> {
    return this.logins.stepUpOptions(user);
  }

  @Post('reauthenticate/passkey')
  @ApiOperation({
    summary: 'Prove my identity with a passkey',
    description: 'Routes of the fresh tier then accept the session again.',
  })
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @AcceptsKeyProof()
  @ApiOkResponse(GRANT_ANSWER)
  @ApiProblems('request.invalid', 'auth.invalid_credentials')
  async stepUp(
    @CurrentUser() user: Principal,
    @Body({ schema: PasskeyStepUp }) { response }: PasskeyStepUp,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.logins.stepUp(user, response, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }
}
