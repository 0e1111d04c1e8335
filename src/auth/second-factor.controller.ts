import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { originOf, type Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { SecondFactorChanges } from '../second-factor/second-factor-changes.js';
import { CurrentSession } from '../sessions/current-session.decorator.js';
import { RequireSession } from '../sessions/require-session.decorator.js';
import type { SessionSnapshot } from '../sessions/session-snapshot.js';
import { Throttled } from '../throttle/throttled.decorator.js';
import { CurrentUser } from './current-user.decorator.js';
import { Grants } from './grants.js';
import {
  FirstCode,
  RecoveryCodesView,
  SecondFactorsView,
  TotpEnrolmentView,
} from './second-factor.schemas.js';

/** A user with a second factor has to verify it before a change; a user without one needs a recent login. */
const FRESH = { maxAuthAge: '5m', bySecondFactor: true } as const;
/** An admin without a verified second factor may use these routes as well. */
const ENROLS = { awaitsSecondFactor: true } as const;

@ApiTags('auth')
@Controller('auth/mfa')
export class SecondFactorController {
  constructor(
    private readonly changes: SecondFactorChanges,
    private readonly grants: Grants,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** The enrolled factors. */
  @Get()
  @RequireSession(ENROLS)
  @ApiOkResponse({ standardSchema: SecondFactorsView })
  async enrolled(@CurrentSession() { userId, roles }: SessionSnapshot) {
    const { totp, ...rest } = await this.changes.enrolled(userId);
    return {
      required: this.settings.adminMfa === 'required' && roles.includes('admin'),
      totp: totp && { addedAt: totp.addedAt.toISOString() },
      ...rest,
    };
  }

  /** Returns a secret for an authenticator app. It takes effect only after its first code has confirmed it. */
  @Post('totp')
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: TotpEnrolmentView })
  async beginTotp(@CurrentUser() user: Principal) {
    const { expiresAt, ...shown } = await this.changes.beginTotp(user);
    return { ...shown, expiresAt: expiresAt.toISOString() };
  }

  /** Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens. */
  @Post('totp/confirm')
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: RecoveryCodesView })
  @ApiProblems('request.invalid', 'auth.invalid_credentials', 'resource.conflict')
  async confirmTotp(
    @CurrentUser() user: Principal,
    @Body({ schema: FirstCode }) { code }: FirstCode,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { recoveryCodes, grant } = await this.changes.confirmTotp(user, code, originOf(request));
    if (grant) this.grants.hand(reply, grant);
    return { recoveryCodes };
  }

  /** Ends every other session. For this session, see above. */
  @Delete('totp')
  @RequireSession(FRESH)
  @Throttled('mfa')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('resource.not_found')
  async removeTotp(
    @CurrentUser() user: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const grant = await this.changes.removeTotp(user, originOf(request));
    if (grant) this.grants.hand(reply, grant);
  }

  /** Makes new recovery codes; the old ones become void. */
  @Post('recovery-codes')
  @RequireSession(FRESH)
  @Throttled('mfa')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: RecoveryCodesView })
  @ApiProblems('resource.conflict')
  async renewRecoveryCodes(@CurrentUser() user: Principal, @Req() request: FastifyRequest) {
    return { recoveryCodes: await this.changes.renewRecoveryCodes(user, originOf(request)) };
  }
}
