import { Body, Controller, HttpCode, HttpStatus, Post, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { requestContextOf, type Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { PasskeyRequestOptions } from './webauthn.schemas.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { AnswersWithCookies } from '../guards/answers-with-cookies.decorator.js';
import { Grant } from '../login/auth.schemas.js';
import { readCredentials } from '../guards/credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
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
    private readonly settings: Settings,
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
  @Public()
  @AnswersWithCookies(({ transport }) => transport === 'bearer')
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiHeader({ name: 'X-Device-Token', required: false, description: 'bearer transport only' })
  @ApiOkResponse({ standardSchema: Grant })
  @ApiProblems(
    'request.invalid',
    'auth.invalid_credentials',
    'request.cross_site',
    'resource.conflict',
    'auth.unavailable',
  )
  async login(
    @Body({ schema: PasskeyLogin }) login: PasskeyLogin,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.logins.login(login, this.credentialsOf(request), requestContextOf(request));
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
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const credentials = this.credentialsOf(request);
    const grant = await this.logins.stepUp(user, response, credentials, requestContextOf(request));
    return this.tokenResponder.send(reply, grant);
  }

  private credentialsOf(request: FastifyRequest) {
    return readCredentials(request, this.settings);
  }
}
