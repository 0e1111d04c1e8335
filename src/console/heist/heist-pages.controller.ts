import {
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  HttpStatus,
  Param,
  Query,
  Res,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PACKAGE_ROOT, Problem, Public } from '#core';
import type { HeistRun } from './heist-run.js';
import { HeistRuns } from './heist-runs.service.js';
import { LootQuery, parseLoot, RunQuery } from './heist.schemas.js';
import { ThiefService } from './thief.service.js';

const FOLDER = join(PACKAGE_ROOT, 'src/console/heist/pages');
const script = z.enum(['forum.js', 'injected.js', 'thief.js']);

/** The console shows these pages in frames, also at its other name. */
const IN_FRAMES = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*";
/** The policy of the console's pages. It runs no script that stands in the HTML. */
const STRICT = `default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; ${IN_FRAMES}`;

/** Only in development: the two sites of the token heist. Each request must come to the site that it is for. */
@ApiExcludeController()
@Controller({ path: 'dev/heist', version: VERSION_NEUTRAL })
@Public()
export class HeistPagesController {
  constructor(
    private readonly runs: HeistRuns,
    private readonly thief: ThiefService,
  ) {}

  @Get('forum')
  @Header('content-type', 'text/html; charset=utf-8')
  forum(
    @Query({ schema: RunQuery }) { run: id }: RunQuery,
    @Headers('host') host: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const run = this.at(id, host, 'victimOrigin');
    return page('forum.html', reply, run.contentSecurityPolicy ? STRICT : IN_FRAMES);
  }

  @Get('thief')
  @Header('content-type', 'text/html; charset=utf-8')
  thiefPage(
    @Query({ schema: RunQuery }) { run: id }: RunQuery,
    @Headers('host') host: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    this.at(id, host, 'thiefOrigin');
    return page('thief.html', reply, IN_FRAMES);
  }

  /** The forum loads the injected script from the site of the thief, and the standard headers would forbid that. */
  @Get('pages/:script')
  @Header('content-type', 'text/javascript; charset=utf-8')
  @Header('cross-origin-resource-policy', 'cross-origin')
  script(@Param('script', { schema: script }) file: string) {
    return readFile(join(FOLDER, file), 'utf8');
  }

  /** Here the injected script sends what it has found. */
  @Get('loot')
  @HttpCode(HttpStatus.NO_CONTENT)
  async loot(@Query({ schema: LootQuery }) { run: id, loot }: LootQuery, @Headers('host') host: string) {
    const found = parseLoot(loot);
    if (found) await this.thief.receive(this.at(id, host, 'thiefOrigin'), found);
  }

  private at(id: string, host: string, site: 'victimOrigin' | 'thiefOrigin'): HeistRun {
    const run = this.runs.get(id);
    if (run[site] !== `http://${host}`) throw new Problem('resource.not_found');
    return run;
  }
}

function page(file: string, reply: FastifyReply, policy: string): Promise<string> {
  void reply.removeHeader('x-frame-options').header('content-security-policy', policy);
  return readFile(join(FOLDER, file), 'utf8');
}
