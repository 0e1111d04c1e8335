import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Patch, Post, Res } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { Context } from '../../platform/api/request-context.decorator.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { uuid } from '../../platform/api/schemas.js';
import { PasskeyCreationOptions } from './webauthn/webauthn.schemas.js';
import { PasskeyRepository } from './passkey.repository.js';
import { CurrentSession } from '../../sessions/check/current-session.decorator.js';
import { RequireSession } from '../../sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { CurrentUser } from '../guards/current-user.decorator.js';
import { TokenResponder } from '../login/token-responder.js';
import { PasskeyEnrolmentService } from './passkey-enrolment.service.js';
import { PasskeyManagementService } from './passkey-management.service.js';
import {
  PasskeyChanges,
  PasskeyEnrolment,
  PasskeyList,
  PasskeyView,
  passkeyViewOf,
} from './passkey.schemas.js';

/**
 * As for other factors: a session with a verified second factor has to verify it again, any other session needs a
 * recent login.
 */
const FRESH = { maxAuthAge: '5m', bySecondFactor: true } as const;
/** A user with a privileged role and without a verified second factor may use these routes as well. */
const ENROLS = { awaitsSecondFactor: true } as const;

/** The passkeys of the caller. */
@ApiTags('passkeys')
@Controller('auth/passkeys')
export class PasskeysController {
  constructor(
    private readonly passkeys: PasskeyRepository,
    private readonly passkeyEnrolment: PasskeyEnrolmentService,
    private readonly passkeyManagement: PasskeyManagementService,
    private readonly tokenResponder: TokenResponder,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List my passkeys' })
  @RequireSession(ENROLS)
  @ApiOkResponse({ standardSchema: PasskeyList })
  async list(@CurrentUser() { userId }: Principal) {
    return { items: (await this.passkeys.of(userId)).map(passkeyViewOf) };
  }

  @Post('options')
  @ApiOperation({
    summary: 'Begin to add a passkey',
    description: 'Options for `navigator.credentials.create()`. Nothing is stored but the challenge.',
  })
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyCreationOptions })
  @ApiProblems('resource.conflict')
  begin(@CurrentSession() session: SessionSnapshot): Promise<PasskeyCreationOptions> {
    return this.passkeyEnrolment.begin(session);
  }

  @Post()
  @ApiOperation({
    summary: 'Add a passkey',
    description:
      'Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens.',
  })
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('passkey')
  @ApiCreatedResponse({ standardSchema: PasskeyView })
  @ApiProblems('request.invalid', 'resource.conflict')
  async add(
    @CurrentUser() user: Principal,
    @Body({ schema: PasskeyEnrolment }) enrolment: PasskeyEnrolment,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PasskeyView> {
    const { passkey, grant } = await this.passkeyEnrolment.add(user, enrolment, context);
    if (grant) this.tokenResponder.send(reply, grant);
    return passkeyViewOf(passkey);
  }

  @Patch(':id')
  @ApiOperation({ summary: 'Rename one of my passkeys' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: PasskeyView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async rename(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: PasskeyChanges }) { name }: PasskeyChanges,
    @CurrentUser() { userId }: Principal,
    @Actor() actor: ActorContext,
  ): Promise<PasskeyView> {
    const passkey = await this.passkeyManagement.rename(userId, id, name, actor);
    if (!passkey) throw new Problem('resource.not_found');
    return passkeyViewOf(passkey);
  }

  @Delete(':id')
  @ApiOperation({
    summary: 'Remove one of my passkeys',
    description:
      'Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens.',
  })
  @RequireSession(FRESH)
  @Throttled('passkey')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'resource.not_found')
  async remove(
    @Param('id', { schema: uuid }) id: string,
    @CurrentUser() user: Principal,
    @Context() context: RequestContext,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const grant = await this.passkeyManagement.remove(user, id, context);
    if (grant) this.tokenResponder.send(reply, grant);
  }
}
