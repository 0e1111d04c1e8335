import { Body, Controller, Get, Patch } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentUser } from '../auth/guards/current-user.decorator.js';
import { Problem } from '../platform/api/problem.js';
import type { Principal } from '../platform/http/request.js';
import { RequireSession } from '../sessions/check/require-session.decorator.js';
import type { User } from './user.entity.js';
import { displayName, Profile, profileOf } from './user.schemas.js';
import { UsersService } from './users.service.js';

const Changes = z.strictObject({ displayName: displayName.nullable().optional() });

@ApiTags('users')
@Controller('users/me')
@RequireSession()
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Get()
  @ApiOkResponse({ standardSchema: Profile })
  async me(@CurrentUser() { userId }: Principal) {
    return profileOf(await this.existing(userId));
  }

  @Patch()
  @ApiOkResponse({ standardSchema: Profile })
  async change(
    @CurrentUser() { userId }: Principal,
    @Body({ schema: Changes }) changes: z.infer<typeof Changes>,
  ) {
    if (changes.displayName !== undefined) await this.users.rename(userId, changes.displayName);
    return profileOf(await this.existing(userId));
  }

  private async existing(id: string): Promise<User> {
    const user = await this.users.find(id);
    if (!user || user.deletedAt) throw new Problem('resource.not_found');
    return user;
  }
}
