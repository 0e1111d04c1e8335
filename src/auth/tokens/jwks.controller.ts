import { Controller, Get, Header, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AlwaysAnswers } from '../../platform/api/always-answers.decorator.js';
import { Clock } from '../../platform/runtime/clock.js';
import { JWKS_MAX_AGE_S } from '../../platform/keys/key-schedule.js';
import { KeyRing } from './key-ring.js';
import { Public } from '../guards/public.decorator.js';

/** RFC 7517, appendix A.1. */
const EXAMPLE_KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  kid: '1',
  alg: 'ES256',
  use: 'sig',
};

const text = z.string();
const Jwks = z.object({
  keys: z
    .array(z.object({ kty: text, crv: text, x: text, y: text, kid: text, alg: text, use: text }))
    .meta({ examples: [[EXAMPLE_KEY]] }),
});

@ApiTags('keys')
@Controller({ path: '.well-known', version: VERSION_NEUTRAL })
@Public()
export class JwksController {
  constructor(
    private readonly keys: KeyRing,
    private readonly clock: Clock,
  ) {}

  @Get('jwks.json')
  @ApiOperation({
    summary: 'Read the public keys',
    description: 'Services verify access tokens with them (RFC 7517).',
  })
  @AlwaysAnswers()
  @Header('cache-control', `public, max-age=${JWKS_MAX_AGE_S}`)
  @ApiOkResponse({ standardSchema: Jwks })
  jwks() {
    return { keys: this.keys.published(this.clock.now()) };
  }
}
