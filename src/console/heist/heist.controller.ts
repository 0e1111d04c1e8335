import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { PRODUCT, Public } from '#core';
import { DESCRIPTIONS, injectedComment, type Act } from './acts.js';
import { transportOf } from './heist-run.js';
import { HeistReports } from './heist-report.service.js';
import { HeistRuns } from './heist-runs.service.js';
import { act, Attempts, HeistStart, runId, Violation } from './heist.schemas.js';
import { ThiefService } from './thief.service.js';

const MAX_VIOLATIONS = 20;

/** Only in development: starts the acts of the token heist and reports what came of them. */
@ApiExcludeController()
@Controller({ path: 'dev/heist', version: VERSION_NEUTRAL })
@Public()
export class HeistController {
  constructor(
    private readonly runs: HeistRuns,
    private readonly reports: HeistReports,
    private readonly thief: ThiefService,
  ) {}

  @Post('acts/:act')
  start(
    @Param('act', { schema: act }) act: Act,
    @Body({ schema: HeistStart }) start: HeistStart,
    @Headers('host') host: string,
  ) {
    return this.reports.of(this.runs.start(act, start, host));
  }

  @Get('runs/:id')
  read(@Param('id', { schema: runId }) id: string) {
    return this.reports.of(this.runs.get(id));
  }

  /** The task of the forum's page. The password of the demo users is public. */
  @Get('runs/:id/script')
  script(@Param('id', { schema: runId }) id: string) {
    const run = this.runs.get(id);
    const comment = DESCRIPTIONS[run.act].injects ? injectedComment(run.thiefOrigin, id) : 'Great post!';
    const { act, victim: email } = run;
    return { act, email, password: PRODUCT.demoPassword, transport: transportOf(run), comment };
  }

  /** The thief uses the loot again, for example after the owner has ended the session. */
  @Post('runs/:id/thief')
  @HttpCode(HttpStatus.OK)
  async use(@Param('id', { schema: runId }) id: string) {
    const run = this.runs.get(id);
    await this.thief.use(run);
    return this.reports.of(run);
  }

  /** The page of the thief has made these attempts. */
  @Post('runs/:id/attempts')
  @HttpCode(HttpStatus.NO_CONTENT)
  attempted(
    @Param('id', { schema: runId }) id: string,
    @Body({ schema: Attempts }) { attempts }: Attempts,
  ): void {
    this.runs.get(id).attempts = attempts;
  }

  /** The browser has told the page of the forum what its content security policy has blocked. */
  @Post('runs/:id/violations')
  @HttpCode(HttpStatus.NO_CONTENT)
  blocked(
    @Param('id', { schema: runId }) id: string,
    @Body({ schema: Violation }) violation: Violation,
  ): void {
    const { violations } = this.runs.get(id);
    if (violations.length < MAX_VIOLATIONS) violations.push(violation);
  }
}
