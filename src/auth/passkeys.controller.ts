import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Param,
  Patch,
  Post,
  Req,
  Res,
} from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Actor, type Acting } from '../common/actor.decorator.js';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { Problem } from '../common/problem.js';
import { originOf, type Principal } from '../common/request.js';
import { uuid } from '../common/schemas.js';
import { PasskeyCreationOptions } from '../passkeys/ceremony.schemas.js';
import { PasskeysService } from '../passkeys/passkeys.service.js';
import { CurrentSession } from '../sessions/current-session.decorator.js';
import { RequireSession } from '../sessions/require-session.decorator.js';
import type { SessionSnapshot } from '../sessions/session-snapshot.js';
import { Throttled } from '../throttle/throttled.decorator.js';
import { CurrentUser } from './current-user.decorator.js';
import { Grants } from './grants.js';
import { PasskeyChangesService } from './passkey-changes.service.js';
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
/** An admin without a verified second factor may use these routes as well. */
const ENROLS = { awaitsSecondFactor: true } as const;

/** The passkeys of the caller. */
@ApiTags('passkeys')
@Controller('auth/passkeys')
export class PasskeysController {
  constructor(
    private readonly passkeys: PasskeysService,
    private readonly changes: PasskeyChangesService,
    private readonly grants: Grants,
  ) {}

  @Get()
  @RequireSession(ENROLS)
  @ApiOkResponse({ standardSchema: PasskeyList })
  async list(@CurrentUser() { userId }: Principal) {
    return { items: (await this.passkeys.of(userId)).map(passkeyViewOf) };
  }

  /** Options for `navigator.credentials.create()`. Nothing is stored but the challenge. */
  @Post('options')
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('passkey')
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: PasskeyCreationOptions })
  @ApiProblems('resource.conflict')
  begin(@CurrentSession() session: SessionSnapshot): Promise<PasskeyCreationOptions> {
    return this.changes.begin(session);
  }

  /** Ends every other session. A browser gets new cookies with the answer; a bearer client keeps its tokens. */
  @Post()
  @RequireSession({ ...FRESH, ...ENROLS })
  @Throttled('passkey')
  @ApiCreatedResponse({ standardSchema: PasskeyView })
  @ApiProblems('request.invalid', 'resource.conflict')
  async add(
    @CurrentUser() user: Principal,
    @Body({ schema: PasskeyEnrolment }) enrolment: PasskeyEnrolment,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PasskeyView> {
    const { passkey, grant } = await this.changes.add(user, enrolment, originOf(request));
    if (grant) this.grants.hand(reply, grant);
    return passkeyViewOf(passkey);
  }

  @Patch(':id')
  @RequireSession()
  @ApiOkResponse({ standardSchema: PasskeyView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async rename(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: PasskeyChanges }) { name }: PasskeyChanges,
    @CurrentUser() { userId }: Principal,
    @Actor() actor: Acting,
  ): Promise<PasskeyView> {
    const passkey = await this.changes.rename(userId, id, name, actor);
    if (!passkey) throw new Problem('resource.not_found');
    return passkeyViewOf(passkey);
  }

  /** Ends every other session. For this session, see above. */
  @Delete(':id')
  @RequireSession(FRESH)
  @Throttled('passkey')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'resource.not_found')
  async remove(
    @Param('id', { schema: uuid }) id: string,
    @CurrentUser() user: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const grant = await this.changes.remove(user, id, originOf(request));
    if (grant) this.grants.hand(reply, grant);
  }
}
