import { Body, Controller, Get, HttpCode, HttpStatus, Post, Req, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { DECLARES_CLAIMS } from '../../platform/claims/declared-claims.js';
import { requestContextOf, type Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { isChallengeFor } from '../mfa/login-challenges.js';
import { RefreshService } from '../../sessions/refresh/refresh.service.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { AnswersWithCookies } from '../guards/answers-with-cookies.decorator.js';
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
import { readCredentials } from '../guards/credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { TokenResponder } from './token-responder.js';
import { LoginService } from './login.service.js';
import { LogoutService } from './logout.service.js';
import { Public } from '../guards/public.decorator.js';
import { ReauthenticationService } from './reauthentication.service.js';
import { RegistrationService } from '../registration/registration.service.js';
import { SecondStepOfLogin } from '../mfa/second-factor.schemas.js';
import { MfaLoginService } from '../mfa/mfa-login.service.js';

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
    private readonly mfaLogin: MfaLoginService,
    private readonly reauthentications: ReauthenticationService,
    private readonly logouts: LogoutService,
    private readonly refreshes: RefreshService,
    private readonly tokenResponder: TokenResponder,
    private readonly settings: Settings,
  ) {}

  @Post('register')
  @Public()
  @Throttled('register')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ standardSchema: Accepted })
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async register(@Body({ schema: Registration }) registration: Registration, @Req() request: FastifyRequest) {
    await this.registrations.register(registration, requestContextOf(request));
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
    const outcome = await this.logins.login(login, this.credentialsOf(request), requestContextOf(request));
    if ('challengeToken' in outcome) return { status: 'mfa_required', ...outcome };
    return this.tokenResponder.send(reply, outcome);
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
    const grant = await this.mfaLogin.complete(step, this.credentialsOf(request), requestContextOf(request));
    return this.tokenResponder.send(reply, grant);
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
      context: requestContextOf(request),
    } as const;
    return this.tokenResponder.send(reply, await this.refreshes.refresh(presentation));
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
    await this.logouts.logout(credentials, body?.refreshToken, requestContextOf(request));
    this.tokenResponder.clear(reply);
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
    const context = requestContextOf(request);
    const grant =
      password === undefined
        ? await this.reauthentications.byCode(user, code!, credentials, context)
        : await this.reauthentications.byPassword(user, password, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }

  /** Answers from the token alone, without I/O. */
  @Get('whoami')
  @ApiOkResponse({ standardSchema: WhoAmI })
  whoami(@CurrentUser() { userId, sessionId, roles, claims, expiresAt }: Principal) {
    const declared = DECLARES_CLAIMS && { claims };
    return { userId, sessionId, roles, ...declared, expiresAt: new Date(expiresAt).toISOString() };
  }

  private credentialsOf(request: FastifyRequest) {
    return readCredentials(request, this.settings);
  }
}
