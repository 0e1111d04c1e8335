import { Module } from '@nestjs/common';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { PlacesService } from './places.service.js';

@Module({
  providers: [
    {
      provide: PlacesService,
      inject: [SETTINGS_TOKEN, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => PlacesService.create(settings, logger),
    },
  ],
})
export class PlacesModule {}
