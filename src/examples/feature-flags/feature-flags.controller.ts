import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AllowScope, CurrentCaller, RateLimit, type Caller } from '#core';
import { FLAGS_READ } from '../scopes.js';
import { flagsFor } from './flags.js';

const Flags = z.object({
  flags: z.record(z.string(), z.boolean()).meta({ examples: [{ newDashboard: true }] }),
});

/**
 * A low-risk route. A valid access token is enough: the request needs no lookup, not even for its rate limit. A machine
 * needs a live API key with the scope.
 */
@ApiTags('examples')
@Controller('feature-flags')
export class FeatureFlagsController {
  @Get()
  @ApiOperation({
    summary: 'Read my feature flags',
    description: 'A low-risk route: a valid access token is enough.',
  })
  @AllowScope(FLAGS_READ)
  @RateLimit({ limit: 600, per: '1m' })
  @ApiOkResponse({ standardSchema: Flags })
  flags(@CurrentCaller() caller: Caller) {
    return { flags: flagsFor(caller) };
  }
}
