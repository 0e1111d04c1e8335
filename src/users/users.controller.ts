import { Body, Controller, Get, Patch } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentUser } from '../auth/guards/current-user.decorator.js';
import { Problem } from '../platform/api/problem.js';
import type { Principal } from '../platform/http/request.js';
import { RequireSession } from '../sessions/check/require-session.decorator.js';
import { ProfilesService } from './profile/profiles.service.js';
import { OwnProfile, ProfileChanges, profileOf } from './user.schemas.js';
import { UserRepository } from './user.repository.js';

@ApiTags('users')
@Controller('users/me')
@RequireSession()
export class UsersController {
  constructor(
    private readonly users: UserRepository,
    private readonly profiles: ProfilesService,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Read my profile' })
  @ApiOkResponse({ standardSchema: OwnProfile })
  me(@CurrentUser() { userId }: Principal) {
    return this.view(userId);
  }

  @Patch()
  @ApiOperation({
    summary: 'Change my profile',
    description: 'Changes the fields that the body names. Others keep their values.',
  })
  @ApiOkResponse({ standardSchema: OwnProfile })
  async change(
    @CurrentUser() { userId }: Principal,
    @Body({ schema: ProfileChanges }) { displayName, ...fields }: ProfileChanges,
  ) {
    if (displayName !== undefined) await this.users.rename(userId, displayName);
    await this.profiles.change(userId, fields);
    return this.view(userId);
  }

  private async view(userId: string) {
    const user = await this.users.find(userId);
    if (!user || user.deletedAt) throw new Problem('resource.not_found');
    return { ...(await this.profiles.find(userId)), ...profileOf(user) };
  }
}
