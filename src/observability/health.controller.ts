import { Controller, Get, HttpStatus, Inject, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type pg from 'pg';
import { z } from 'zod';
import { Public } from '../auth/guards/public.decorator.js';
import { AlignedClock } from '../platform/runtime/clock.js';
import { AlwaysAnswers } from '../platform/api/always-answers.decorator.js';
import { withTimeout } from '../platform/runtime/with-timeout.js';
import { CachePort } from '../platform/cache/cache-port.js';
import { CHECK_POOL } from '../platform/persistence/database.module.js';
import { Shutdown } from '../platform/http/shutdown.js';
import { RevocationSubscriber } from '../sessions/revocation/revocation-subscriber.js';
import { writeNothing } from '../sessions/revocation/session-epoch.repository.js';

/** In ms; probes give up soon after. */
const TIMEOUT_MS = 1_000;

const Live = z.object({ status: z.literal('ok') });
const state = z.enum(['ok', 'failing']);
const Ready = z.object({
  status: state,
  postgres: state,
  cache: state,
  revocationFeed: state,
  clock: state.describe('`failing`: the clocks of the instance and PostgreSQL differ by more than 5 s'),
});

@ApiTags('health')
@Controller({ path: 'health', version: VERSION_NEUTRAL })
@Public()
export class HealthController {
  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly cache: CachePort,
    private readonly revocationSubscriber: RevocationSubscriber,
    private readonly clock: AlignedClock,
    private readonly shutdown: Shutdown,
  ) {}

  @Get('live')
  @ApiOperation({
    summary: 'Check whether the process runs',
    description: 'If this fails, restart the process.',
  })
  @AlwaysAnswers()
  @ApiOkResponse({ standardSchema: Live })
  live() {
    return { status: 'ok' };
  }

  /**
   * Ready for traffic. A missing cache does not matter: PostgreSQL answers in its place, only slower. The instance is
   * not ready
   * - without a PostgreSQL that takes writes, or without the revocation feed,
   * - if its clock is wrong, or a setting makes the cache permanently unusable,
   * - during shutdown; it then continues to serve for `SHUTDOWN_DELAY`.
   */
  @Get('ready')
  @ApiOperation({
    summary: 'Check whether the instance may get traffic',
    description:
      'Checks PostgreSQL, the cache, the revocation feed and the clock. A missing cache alone does not fail the check.',
  })
  @AlwaysAnswers()
  @ApiOkResponse({ standardSchema: Ready })
  @ApiServiceUnavailableResponse({ standardSchema: Ready })
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const [postgres, cache] = await Promise.all([
      stateOf(writeNothing(this.pool)),
      stateOf(this.cache.ping()),
    ]);
    const revocationFeed = this.revocationSubscriber.isBlind() ? 'failing' : 'ok';
    const clock = this.clock.isOff ? 'failing' : 'ok';
    const isWhole = postgres === 'ok' && revocationFeed === 'ok' && clock === 'ok';
    const ready = isWhole && this.cache.misconfiguration === null && !this.shutdown.hasBegun;
    if (!ready) void reply.status(HttpStatus.SERVICE_UNAVAILABLE);
    return { status: ready ? 'ok' : 'failing', postgres, cache, revocationFeed, clock };
  }
}

function stateOf(answer: Promise<unknown>): Promise<'ok' | 'failing'> {
  return withTimeout(TIMEOUT_MS, answer).then(
    () => 'ok' as const,
    () => 'failing' as const,
  );
}
