import { Body, Controller, Headers, HttpCode, HttpStatus, Post, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import { Context } from '../../../platform/api/request-context.decorator.js';
import { Problem } from '../../../platform/api/problem.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { Throttled } from '../../../platform/throttling/throttled.decorator.js';
import { Public } from '../../guards/public.decorator.js';
import { LeakedKeysService } from './leaked-keys.service.js';
import { ScannerKeys } from './scanner-keys.js';

/** The report of a secret scanner. Members that are not named here are ignored. */
export const LeakReport = z
  .array(
    z.looseObject({
      token: z
        .string()
        .max(500)
        .meta({ examples: ['the-leaked-key'] }),
      type: z
        .string()
        .max(200)
        .meta({ examples: ['api_key'] }),
      url: z.string().max(2_000).nullish(),
    }),
  )
  .max(1_000);

export const LeakVerdicts = z.array(
  z.object({
    token_raw: z.string().meta({ examples: ['the-leaked-key'] }),
    token_type: z.string().meta({ examples: ['api_key'] }),
    label: z.enum(['true_positive', 'false_positive']),
  }),
);

/**
 * For the secret-scanning partner programme of GitHub, and for scanners that use its format. A key that was found in
 * public ends at once, and its owner is told.
 */
@ApiTags('api-keys')
@Controller('api-keys')
export class LeakedKeysController {
  constructor(
    private readonly scanner: ScannerKeys,
    private readonly leakedKeys: LeakedKeysService,
  ) {}

  @Post('leaked')
  @ApiOperation({
    summary: 'Report leaked API keys',
    description:
      'For secret scanners. A key that was found in public ends at once, and its owner gets a mail.',
  })
  @Public()
  @Throttled('leaked_keys')
  @RouteConfig({ keepsRawBody: true })
  @HttpCode(HttpStatus.OK)
  @ApiOkResponse({ standardSchema: LeakVerdicts })
  @ApiProblems('request.invalid', 'auth.invalid_token', 'resource.not_found', 'request.rate_limited')
  async report(
    @Req() { rawBody = '' }: FastifyRequest,
    @Headers('github-public-key-identifier') keyId: string | undefined,
    @Headers('github-public-key-signature') signature: string | undefined,
    @Body({ schema: LeakReport }) report: z.infer<typeof LeakReport>,
    @Context() context: RequestContext,
  ) {
    if (!this.scanner.isConfigured) throw new Problem('resource.not_found');
    if (!keyId || !signature) throw new Problem('auth.unauthenticated');
    if (!(await this.scanner.hasSigned(rawBody, keyId, signature))) throw new Problem('auth.invalid_token');
    return this.leakedKeys.end(report, context);
  }
}
