import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentUser } from '../../auth/current-user.decorator.js';
import type { Principal } from '../../common/request.js';
import { flagsFor } from './flags.js';

const Flags = z.object({ flags: z.record(z.string(), z.boolean()) });

/** A low-risk route: no decorator, so a valid access token lets in, and nothing is looked up. */
@ApiTags('examples')
@Controller('feature-flags')
export class FeatureFlagsController {
  @Get()
  @ApiOkResponse({ standardSchema: Flags })
  flags(@CurrentUser() user: Principal) {
    return { flags: flagsFor(user) };
  }
}
