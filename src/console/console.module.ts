import { Module, type DynamicModule } from '@nestjs/common';
import type { Settings } from '#core';
import { ConsoleController } from './console.controller.js';
import { ConsoleFiles } from './console-files.js';
import { HeistModule } from './heist/heist.module.js';
import { consoleSettings } from './settings.js';

/**
 * The console, a web application for users and admins. To remove it, delete this folder, `packages/console`, and its
 * line in `features.ts`.
 */
@Module({})
export class ConsoleModule {
  static forRoot(settings: Settings): DynamicModule {
    if (consoleSettings(settings).console === 'off') return { module: ConsoleModule };
    return {
      module: ConsoleModule,
      imports: [HeistModule.forRoot(settings)],
      controllers: [ConsoleController],
      providers: [ConsoleFiles],
    };
  }
}
