import { Body, Controller, Get, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { DECLARES_CLAIMS } from '../../platform/claims/declared-claims.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { isChallengeFor } from '../mfa/login-challenges.js';
import { DeviceKeyUnproven } from '../../sessions/refresh/refresh-refusals.service.js';
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
import { RequestCredentials, type Credentials } from '../guards/credentials.js';
import { AcceptsKeyProof } from '../device-binding/accepts-key-proof.decorator.js';
import { ProvenCredentials } from '../device-binding/proven-credentials.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { TokenResponder } from './token-responder.js';
import { LOGIN_ANSWER_EXAMPLES, LOGIN_EXAMPLES, REFRESH_EXAMPLES } from './login-examples.schemas.js';
import { DeviceTokenHeader, GRANT_ANSWER, LoginRoute } from './login-route.decorator.js';
import { LoginService } from './login.service.js';
import { LogoutService } from './logout.service.js';
import { Public } from '../guards/public.decorator.js';
import { ReauthenticationService } from './reauthentication.service.js';
import { RegistrationService } from '../registration/registration.service.js';
import { SecondStepOfLogin } from '../mfa/second-factor.schemas.js';
import { MfaLoginService } from '../mfa/mfa-login.service.js';

const RefreshTokenBody = () =>
  ApiBody({
    required: false,
    description: 'bearer transport only; a browser sends its cookie and no body',
    examples: REFRESH_EXAMPLES,
  });

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
  ) {}

  @Post('register')
  @ApiOperation({
    summary: 'Register with an e-mail address',
    description:
      'The answer is the same for an address that has an account already. A mail then tells its owner.',
  })
  @Public()
  @Throttled('register')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ standardSchema: Accepted })
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async register(
    @Body({ schema: Registration }) registration: Registration,
    @Context() context: RequestContext,
  ) {
    await this.registrations.register(registration, context);
    return { status: 'accepted' };
  }

  @Post('login')
  @ApiOperation({
    summary: 'Log in with a password',
    description:
      'Without a second factor the answer is a session. With one it is a challenge, and neither a session nor cookies.',
  })
  @ApiBody({ required: true, examples: LOGIN_EXAMPLES })
  @LoginRoute({
    throttled: 'login',
    isBearer: ({ transport }) => transport === 'bearer',
    answer: { standardSchema: LoginAnswer, examples: LOGIN_ANSWER_EXAMPLES },
  })
  async login(
    @Body({ schema: Login }) login: Login,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<LoginAnswer> {
    const outcome = await this.logins.login(login, credentials, context);
    if ('challengeToken' in outcome) return { status: 'mfa_required', ...outcome };
    return this.tokenResponder.send(reply, outcome);
  }

  @Post('login/mfa')
  @ApiOperation({
    summary: 'Complete a login with a second factor',
    description: 'Takes a code of an authenticator app or a recovery code, on the transport of that login.',
  })
  @LoginRoute({
    throttled: 'mfa',
    isBearer: ({ challengeToken }) => isChallengeFor('bearer', challengeToken),
  })
  @ApiProblems('auth.invalid_token')
  async completeLogin(
    @Body({ schema: SecondStepOfLogin }) step: SecondStepOfLogin,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant = await this.mfaLogin.complete(step, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }

  @Post('refresh')
  @ApiOperation({
    summary: 'Refresh the session',
    description: 'Gives new tokens. A browser sends its cookies and an empty body, an app its refresh token.',
  })
  @Public()
  @AnswersWithCookies(hasRefreshToken)
  @Throttled('refresh')
  @HttpCode(HttpStatus.OK)
  @RefreshTokenBody()
  @DeviceTokenHeader()
  @AcceptsKeyProof()
  @ApiOkResponse(GRANT_ANSWER)
  @ApiProblems(
    'request.invalid',
    'auth.ambiguous_credentials',
    'auth.unauthenticated',
    'auth.invalid_token',
    'auth.session_ended',
    'auth.reauthentication_required',
    'request.cross_site',
    'auth.unavailable',
  )
  async refresh(
    @Body({ schema: Refresh }) body: Refresh,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const { refreshToken: cookie, deviceToken, keyProof, transport } = credentials;
    if (body?.refreshToken && transport === 'cookie') throw new Problem('auth.ambiguous_credentials');
    const refreshToken = body?.refreshToken ?? cookie;
    if (!refreshToken) throw new Problem('auth.unauthenticated');
    const presentation = {
      refreshToken,
      deviceToken,
      keyProof,
      transport: body?.refreshToken ? 'bearer' : 'cookie',
      context,
    } as const;
    const grant = await this.refreshes.refresh(presentation).catch((error: unknown) => {
      throw error instanceof DeviceKeyUnproven ? this.tokenResponder.sendStepUpToken(reply, error) : error;
    });
    return this.tokenResponder.send(reply, grant);
  }

  @Post('logout')
  @ApiOperation({
    summary: 'Log out',
    description:
      'Ends the session of whichever authentic token is sent, even an expired one. The answer is the same if there is nothing to end.',
  })
  @Public()
  @AnswersWithCookies(hasRefreshToken)
  @Throttled('logout')
  @HttpCode(HttpStatus.NO_CONTENT)
  @RefreshTokenBody()
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'auth.ambiguous_credentials', 'request.cross_site', 'auth.unavailable')
  async logout(
    @Body({ schema: Refresh }) body: Refresh,
    @RequestCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    if (body?.refreshToken && credentials.transport === 'cookie')
      throw new Problem('auth.ambiguous_credentials');
    await this.logouts.logout(credentials, body?.refreshToken, context);
    this.tokenResponder.clear(reply);
  }

  @Post('reauthenticate')
  @ApiOperation({
    summary: 'Prove my identity again',
    description: 'Takes the password or a code. Routes of the fresh tier then accept the session again.',
  })
  @RequireSession({ provesIdentity: true, awaitsSecondFactor: true })
  @Throttled('reauthenticate')
  @HttpCode(HttpStatus.OK)
  @AcceptsKeyProof()
  @ApiOkResponse(GRANT_ANSWER)
  @ApiProblems('request.invalid', 'auth.invalid_credentials')
  async reauthenticate(
    @CurrentUser() user: Principal,
    @Body({ schema: Reauthentication }) { password, code }: Reauthentication,
    @ProvenCredentials() credentials: Credentials,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Grant> {
    const grant =
      password === undefined
        ? await this.reauthentications.byCode(user, code!, credentials, context)
        : await this.reauthentications.byPassword(user, password, credentials, context);
    return this.tokenResponder.send(reply, grant);
  }

  @Get('whoami')
  @ApiOperation({
    summary: 'Read my access token',
    description: 'Answers from the token alone, without a lookup.',
  })
  @ApiOkResponse({ standardSchema: WhoAmI })
  whoami(@CurrentUser() { userId, sessionId, roles, claims, expiresAt }: Principal) {
    const declared = DECLARES_CLAIMS && { claims };
    return { userId, sessionId, roles, ...declared, expiresAt: new Date(expiresAt).toISOString() };
  }
}
