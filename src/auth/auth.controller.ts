import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Post, Req, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { Problem } from '../common/problem.js';
import { originOf, type Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { isChallengeFor } from '../second-factor/login-challenges.js';
import { RefreshService } from '../sessions/refresh.service.js';
import { RequireSession } from '../sessions/require-session.decorator.js';
import { Throttled } from '../throttle/throttled.decorator.js';
import { AnswersWithCookies } from './answers-with-cookies.decorator.js';
import {
  Accepted,
  Grant,
  Login,
  LoginAnswer,
  Reauthentication,
  Refresh,
  Registration,
  WhoAmI,
} from './auth.schemas.js';
import { readCredentials } from './credentials.js';
import { CurrentUser } from './current-user.decorator.js';
import { Grants } from './grants.js';
import { LoginService } from './login.service.js';
import { LogoutService } from './logout.service.js';
import { Public } from './public.decorator.js';
import { ReauthenticationService } from './reauthentication.service.js';
import { RegistrationService } from './registration.service.js';
import { SecondStepOfLogin } from './second-factor.schemas.js';
import { SecondStep } from './second-step.service.js';

const DeviceTokenHeader = () =>
  ApiHeader({ name: 'X-Device-Token', required: false, description: 'bearer transport only' });

const RefreshTokenBody = () =>
  ApiBody({ required: false, description: 'bearer transport only; a browser sends its cookie and no body' });

const hasRefreshToken = ({ refreshToken }: { refreshToken?: unknown }) => Boolean(refreshToken);

@ApiTags('auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly registrations: RegistrationService,
    private readonly logins: LoginService,
    private readonly secondSteps: SecondStep,
    private readonly reauthentications: ReauthenticationService,
    private readonly logouts: LogoutService,
    private readonly refreshes: RefreshService,
    private readonly grants: Grants,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  @Post('register')
  @Public()
  @Throttled('register')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ standardSchema: Accepted })
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async register(@Body({ schema: Registration }) registration: Registration, @Req() request: FastifyRequest) {
    await this.registrations.register(registration, originOf(request));
    return { status: 'accepted' };
  }

  /**
   * Without a second factor the answer is a session. With one it is a challenge, and neither a session nor cookies.
   */
  @Post('login')
  @Public()
  @AnswersWithCookies(({ transport }) => transport === 'bearer')
  @Throttled('login')
  @HttpCode(HttpStatus.OK)
  @DeviceTokenHeader()
  @ApiOkResponse({ standardSchema: LoginAnswer })
  @ApiProblems(
    'request.invalid',
    'auth.invalid_credentials',
    'request.cross_site',
    'resource.conflict',
    'auth.unavailable',
  )
  async login(
    @Body({ schema: Login }) login: Login,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<LoginAnswer> {
    const outcome = await this.logins.login(login, this.credentialsOf(request), originOf(request));
    if ('challengeToken' in outcome) return { status: 'mfa_required', ...outcome };
    return this.grants.hand(reply, outcome);
  }

  /**
   * Completes a login with a code of an authenticator app or with a recovery code, on the transport of that login.
   */
  @Post('login/mfa')
  @Public()
  @AnswersWithCookies(({ challengeToken }) => isChallengeFor('bearer', challengeToken))
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @DeviceTokenHeader()
  @ApiOkResponse({ standardSchema: Grant })
  @ApiProblems(
    'request.invalid',
    'auth.invalid_token',
    'auth.invalid_credentials',
    'request.cross_site',
    'resource.conflict',
    'auth.unavailable',
  )
  async completeLogin(
    @Body({ schema: SecondStepOfLogin }) step: SecondStepOfLogin,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.secondSteps.complete(step, this.credentialsOf(request), originOf(request));
    return this.grants.hand(reply, grant);
  }

  @Post('refresh')
  @Public()
  @AnswersWithCookies(hasRefreshToken)
  @Throttled('refresh')
  @HttpCode(HttpStatus.OK)
  @RefreshTokenBody()
  @DeviceTokenHeader()
  @ApiOkResponse({ standardSchema: Grant })
  @ApiProblems(
    'request.invalid',
    'auth.ambiguous_credentials',
    'auth.unauthenticated',
    'auth.invalid_token',
    'auth.session_ended',
    'request.cross_site',
    'auth.unavailable',
  )
  async refresh(
    @Body({ schema: Refresh }) body: Refresh,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const { refreshToken: cookie, deviceToken, transport } = this.credentialsOf(request);
    if (body?.refreshToken && transport === 'cookie') throw new Problem('auth.ambiguous_credentials');
    const refreshToken = body?.refreshToken ?? cookie;
    if (!refreshToken) throw new Problem('auth.unauthenticated');
    const presentation = {
      refreshToken,
      deviceToken,
      transport: body?.refreshToken ? 'bearer' : 'cookie',
      origin: originOf(request),
    } as const;
    return this.grants.hand(reply, await this.refreshes.refresh(presentation));
  }

  @Post('logout')
  @Public()
  @AnswersWithCookies(hasRefreshToken)
  @Throttled('logout')
  @HttpCode(HttpStatus.NO_CONTENT)
  @RefreshTokenBody()
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'auth.ambiguous_credentials', 'request.cross_site', 'auth.unavailable')
  async logout(
    @Body({ schema: Refresh }) body: Refresh,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const credentials = this.credentialsOf(request);
    if (body?.refreshToken && credentials.transport === 'cookie')
      throw new Problem('auth.ambiguous_credentials');
    await this.logouts.logout(credentials, body?.refreshToken, originOf(request));
    this.grants.takeBack(reply);
  }

  @Post('reauthenticate')
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('reauthenticate')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: Grant })
  @ApiProblems('request.invalid', 'auth.invalid_credentials')
  async reauthenticate(
    @CurrentUser() user: Principal,
    @Body({ schema: Reauthentication }) { password, code }: Reauthentication,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const credentials = this.credentialsOf(request);
    const origin = originOf(request);
    const grant =
      password === undefined
        ? await this.reauthentications.byCode(user, code!, credentials, origin)
        : await this.reauthentications.byPassword(user, password, credentials, origin);
    return this.grants.hand(reply, grant);
  }

  /** Answers from the token alone, without I/O. */
  @Get('whoami')
  @ApiOkResponse({ standardSchema: WhoAmI })
  whoami(@CurrentUser() { userId, sessionId, roles, expiresAt }: Principal) {
    return { userId, sessionId, roles, expiresAt: new Date(expiresAt).toISOString() };
  }

  private credentialsOf(request: FastifyRequest) {
    return readCredentials(request, this.settings.cookieSecure);
  }
}
