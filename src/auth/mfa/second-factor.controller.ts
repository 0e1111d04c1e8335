import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { isPrivileged } from '../../roles.js';
import { Settings } from '../../platform/settings/settings.js';
import { MfaManagementService } from './mfa-management.service.js';
import { CurrentSession } from '../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { TokenResponder } from '../login/token-responder.js';
import {
  FirstCode,
  RecoveryCodesView,
  SecondFactorsView,
  TotpEnrolmentView,
} from './second-factor.schemas.js';

/** A user with a second factor has to verify it before a change; a user without one needs a recent login. */
const FRESH = { maxAuthAge: '5m', bySecondFactor: true } as const;
/** A user with a privileged role and without a verified second factor may use these routes as well. */
const ENROLS = { awaitsSecondFactor: true } as const;

@ApiTags('auth')
@Controller('auth/mfa')
export class SecondFactorController {
  constructor(
    private readonly mfaManagement: MfaManagementService,
    private readonly tokenResponder: TokenResponder,
    private readonly settings: Settings,
  ) {}

  /** The enrolled factors. */
  @Get()
  @ApiOperation({ summary: 'List my second factors' })
  @RequireSession(ENROLS)
  @ApiOkResponse({ standardSchema: SecondFactorsView })
  async enrolled(@CurrentSession() { userId, roles }: SessionSnapshot) {
    const { totp, ...rest } = await this.mfaManagement.enrolled(userId);
    return {
      required: this.settings.adminMfa === 'required' && isPrivileged(roles),
      totp: totp && { addedAt: totp.addedAt.toISOString() },
      ...rest,
    };
  }

  @Post('totp')
  @ApiOperation({
    summary: 'Begin to enrol an authenticator app',
    description: 'Returns a secret for the app. It takes effect only after its first code has confirmed it.',
  })
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: TotpEnrolmentView })
  async beginTotp(@CurrentUser() user: Principal) {
    const { expiresAt, ...shown } = await this.mfaManagement.beginTotp(user);
    return { ...shown, expiresAt: expiresAt.toISOString() };
  }

  @Post('totp/confirm')
  @ApiOperation({
    summary: 'Confirm an authenticator app',
    description:
      'Takes the first code of the app. Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens.',
  })
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: RecoveryCodesView })
  @ApiProblems('request.invalid', 'auth.invalid_credentials', 'resource.conflict')
  async confirmTotp(
    @CurrentUser() user: Principal,
    @Body({ schema: FirstCode }) { code }: FirstCode,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { recoveryCodes, grant } = await this.mfaManagement.confirmTotp(user, code, context);
    if (grant) this.tokenResponder.send(reply, grant);
    return { recoveryCodes };
  }

  @Delete('totp')
  @ApiOperation({
    summary: 'Remove my authenticator app',
    description:
      'Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens.',
  })
  @RequireSession(FRESH)
  @Throttled('mfa')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('resource.not_found')
  async removeTotp(
    @CurrentUser() user: Principal,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const grant = await this.mfaManagement.removeTotp(user, context);
    if (grant) this.tokenResponder.send(reply, grant);
  }

  @Post('recovery-codes')
  @ApiOperation({
    summary: 'Replace my recovery codes',
    description: 'Makes new recovery codes. The old ones become void.',
  })
  @RequireSession(FRESH)
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: RecoveryCodesView })
  @ApiProblems('resource.conflict')
  async renewRecoveryCodes(@CurrentUser() user: Principal, @Context() context: RequestContext) {
    return { recoveryCodes: await this.mfaManagement.renewRecoveryCodes(user, context) };
  }
}
