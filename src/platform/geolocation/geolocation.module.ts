import { Module } from '@nestjs/common';
import { LOGGER, type Logger } from '../logging/logger.js';
import { SETTINGS_TOKEN } from '../settings/settings.module.js';
import type { Settings } from '../settings/settings.js';
import { GeoLocator } from './geo-locator.js';

@Module({
  providers: [
    {
      provide: GeoLocator,
      inject: [SETTINGS_TOKEN, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => GeoLocator.create(settings, logger),
    },
  ],
})
export class GeolocationModule {}
