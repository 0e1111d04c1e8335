import { Controller, Get, Headers, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { timingSafeEqual } from 'node:crypto';
import { Public } from '../auth/guards/public.decorator.js';
import { AlwaysAnswers } from '../platform/api/always-answers.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { Problem } from '../platform/api/problem.js';
import { Settings } from '../platform/settings/settings.js';
import { MetricsService } from './metrics.service.js';
import { sha256 } from '../platform/runtime/sha256.js';

@ApiTags('health')
@Controller({ path: 'metrics', version: VERSION_NEUTRAL })
@Public()
export class MetricsController {
  constructor(
    private readonly metrics: MetricsService,
    private readonly settings: Settings,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Read the metrics',
    description: 'For Prometheus, which sends `METRICS_TOKEN` as bearer token. All other clients get 404.',
  })
  @AlwaysAnswers()
  @ApiProduces('text/plain')
  @ApiOkResponse({ schema: { type: 'string' } })
  @ApiProblems('resource.not_found', 'request.cross_site')
  async read(
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (!this.mayRead(authorization)) throw new Problem('resource.not_found');
    void reply.type(this.metrics.contentType);
    return this.metrics.read();
  }

  private mayRead(authorization = ''): boolean {
    const { metricsToken, nodeEnv } = this.settings;
    if (!metricsToken) return nodeEnv !== 'production';
    return timingSafeEqual(sha256(authorization), sha256(`Bearer ${metricsToken}`));
  }
}
