import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentUser, RateLimit, type Principal } from '#core';
import { flagsFor } from './flags.js';

const Flags = z.object({ flags: z.record(z.string(), z.boolean()) });

/** A low-risk route. A valid access token is enough: the request needs no lookup, not even for its rate limit. */
@ApiTags('examples')
@Controller('feature-flags')
export class FeatureFlagsController {
  @Get()
  @RateLimit({ limit: 600, per: '1m' })
  @ApiOkResponse({ standardSchema: Flags })
  flags(@CurrentUser() user: Principal) {
    return { flags: flagsFor(user) };
  }
}
