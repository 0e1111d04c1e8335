import { Body, Controller, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Accepted, PasswordChange, PasswordForgotten, PasswordReset } from '../login/auth.schemas.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { TokenResponder } from '../login/token-responder.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordResetService } from './password-reset.service.js';
import { Public } from '../guards/public.decorator.js';

@ApiTags('auth')
@Controller('auth/password')
export class PasswordController {
  constructor(
    private readonly changes: PasswordChangeService,
    private readonly resets: PasswordResetService,
    private readonly tokenResponder: TokenResponder,
  ) {}

  @Post('change')
  @ApiOperation({
    summary: 'Change my password',
    description:
      'Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens.',
  })
  @RequireSession()
  @Throttled('password_change')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'auth.invalid_credentials')
  async change(
    @CurrentUser() user: Principal,
    @Body({ schema: PasswordChange }) passwords: PasswordChange,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const grant = await this.changes.change(user, passwords, context);
    if (grant) this.tokenResponder.send(reply, grant);
  }

  @Post('forgot')
  @ApiOperation({
    summary: 'Ask for a link to reset a password',
    description: 'If an account has this address, a mail follows. The answer is always the same.',
  })
  @Public()
  @Throttled('password_forgot')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ standardSchema: Accepted })
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async forgot(
    @Body({ schema: PasswordForgotten }) { email }: PasswordForgotten,
    @Context() context: RequestContext,
  ) {
    await this.resets.request(email, context);
    return { status: 'accepted' };
  }

  @Post('reset')
  @ApiOperation({
    summary: 'Reset a password',
    description: 'Takes the token from the mail. Ends every session and opens none.',
  })
  @Public()
  @Throttled('password_reset')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async reset(
    @Body({ schema: PasswordReset }) { token, newPassword }: PasswordReset,
    @Context() context: RequestContext,
  ): Promise<void> {
    await this.resets.reset(token, newPassword, context);
  }
}
