import { Controller, Get, Header, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AlwaysAnswers } from '../../platform/api/always-answers.decorator.js';
import { Clock } from '../../platform/runtime/clock.js';
import { JWKS_MAX_AGE_S } from '../../platform/keys/key-schedule.js';
import { KeyRing } from './key-ring.js';
import { Public } from '../guards/public.decorator.js';

const text = z.string();
const Jwks = z.object({
  keys: z.array(z.object({ kty: text, crv: text, x: text, y: text, kid: text, alg: text, use: text })),
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
  @AlwaysAnswers()
  @Header('cache-control', `public, max-age=${JWKS_MAX_AGE_S}`)
  @ApiOkResponse({ standardSchema: Jwks })
  jwks() {
    return { keys: this.keys.published(this.clock.now()) };
  }
}
