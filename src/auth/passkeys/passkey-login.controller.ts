import { Body, Controller, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { PasskeyRequestOptions } from './webauthn/webauthn.schemas.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { Grant } from '../login/auth.schemas.js';
import { RequestCredentials, type Credentials } from '../guards/credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { LoginRoute } from '../login/login-route.decorator.js';
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

  /** Options for `navigator.credentials.get()`. The user does not have to enter a name. */
  @Post('login/passkey/options')
  @Public()
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyLoginOptions })
  @ApiProblems('request.cross_site', 'auth.unavailable')
  loginOptions(): Promise<PasskeyLoginOptions> {
    return this.logins.loginOptions();
  }

  @Post('login/passkey')
  @LoginRoute({ throttled: 'passkey', isBearer: ({ transport }) => transport === 'bearer' })
  async login(
    @Body({ schema: PasskeyLogin }) login: PasskeyLogin,
    @RequestCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.logins.login(login, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }

  /** Options for `navigator.credentials.get()`, limited to the caller's own passkeys. */
  @Post('reauthenticate/passkey/options')
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyRequestOptions })
  stepUpOptions(@CurrentUser() user: Principal): Promise<PasskeyRequestOptions> {
    return this.logins.stepUpOptions(user);
  }

  @Post('reauthenticate/passkey')
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: Grant })
  @ApiProblems('request.invalid', 'auth.invalid_credentials')
  async stepUp(
    @CurrentUser() user: Principal,
    @Body({ schema: PasskeyStepUp }) { response }: PasskeyStepUp,
    @RequestCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.logins.stepUp(user, response, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }
}
