import { Body, Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import { Accepted, EmailChange, EmailVerification } from '../login/auth.schemas.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { EmailService } from './email.service.js';
import { Public } from '../guards/public.decorator.js';

@ApiTags('auth')
@Controller('auth/email')
export class EmailController {
  constructor(private readonly emails: EmailService) {}

  @Post('verify')
  @ApiOperation({
    summary: 'Verify an e-mail address',
    description: 'Verifies the address of a new account, or a changed address, with the token from a mail.',
  })
  @Public()
  @Throttled('email_verify')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'request.cross_site', 'auth.unavailable')
  async verify(
    @Body({ schema: EmailVerification }) { token }: EmailVerification,
    @Context() context: RequestContext,
  ): Promise<void> {
    await this.emails.verify(token, context);
  }

  @Post('change')
  @ApiOperation({
    summary: 'Change my e-mail address',
    description:
      'Sends a link to the new address and a notice to the old one. The change is void once the session that requested it has ended.',
  })
  @RequireSession({ maxAuthAge: '5m' })
  @Throttled('email_change')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ standardSchema: Accepted })
  @ApiProblems('request.invalid')
  async change(
    @CurrentUser() user: Principal,
    @Body({ schema: EmailChange }) { email }: EmailChange,
    @Context() context: RequestContext,
  ) {
    await this.emails.requestChange(user, email, context);
    return { status: 'accepted' };
  }
}
