import { Module, type DynamicModule } from '@nestjs/common';
import type { Settings } from '#core';
import { HeistPagesController } from './heist-pages.controller.js';
import { HeistReports } from './heist-report.service.js';
import { HeistRuns } from './heist-runs.service.js';
import { HeistController } from './heist.controller.js';
import { RequestRecorder } from './request-recorder.js';
import { ThiefClient } from './thief-client.js';
import { ThiefService } from './thief.service.js';

/**
 * The token heist: four attacks with real requests, in which the visitor sees what decides. It contains a vulnerable
 * page and uses stolen tokens, so it exists only in development.
 */
@Module({})
export class HeistModule {
  static forRoot({ nodeEnv }: Pick<Settings, 'nodeEnv'>): DynamicModule {
    if (nodeEnv !== 'development') return { module: HeistModule };
    return {
      module: HeistModule,
      controllers: [HeistController, HeistPagesController],
      providers: [HeistReports, HeistRuns, RequestRecorder, ThiefClient, ThiefService],
    };
  }
}
