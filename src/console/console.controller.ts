import { Controller, Get, Header, Headers, Param, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { CheckTimings, Problem, Public, Settings } from '#core';
import { ConsoleFiles } from './console-files.js';

const YEAR_S = 31_536_000;
/** The names of the cookies, with any prefix. */
const TOKEN_COOKIES = /(access|refresh)=/;

/** Only own scripts, styles and requests. Nothing inline, nothing of other hosts, and no frame around the page. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
];
/** The heist shows pages of a vulnerable application and of a thief's site. */
const FRAMES_IN_DEVELOPMENT = "frame-src 'self' http://localhost:* http://127.0.0.1:*";

/** Serves the console. Its page decides by the path what it shows. */
@ApiExcludeController()
@Controller({ version: VERSION_NEUTRAL })
@Public()
export class ConsoleController {
  private readonly policy: string;

  constructor(
    private readonly files: ConsoleFiles,
    timings: CheckTimings,
    { nodeEnv }: Settings,
  ) {
    if (nodeEnv !== 'production') timings.enable(); // for the playground
    this.policy = [...PAGE_POLICY, ...(nodeEnv === 'development' ? [FRAMES_IN_DEVELOPMENT] : [])].join('; ');
  }

  /** The last two are the pages that mails link to. */
  @Get(['console', 'console/*', 'verify-email', 'reset-password'])
  @Header('content-type', 'text/html; charset=utf-8')
  page(@Headers('cookie') cookies = '', @Res({ passthrough: true }) reply: FastifyReply): string {
    void reply.header('content-security-policy', this.policy);
    return this.files.page(TOKEN_COOKIES.test(cookies));
  }

  @Get('console/assets/:name')
  @Header('cache-control', `public, max-age=${YEAR_S}, immutable`)
  @Header('vary', 'accept-encoding')
  asset(
    @Param('name') name: string,
    @Headers('accept-encoding') accepted = '',
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Buffer {
    const asset = this.files.asset(name);
    if (!asset) throw new Problem('resource.not_found', { headers: { 'cache-control': 'no-store' } });
    void reply.type(asset.type);
    if (!/\bbr\b/.test(accepted)) return asset.plain;
    void reply.header('content-encoding', 'br');
    return asset.brotli;
  }
}
