import { Module } from '@nestjs/common';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { GeoLocator } from './geo-locator.js';

@Module({
  providers: [
    {
      provide: GeoLocator,
      inject: [Settings, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => GeoLocator.create(settings, logger),
    },
  ],
})
export class GeolocationModule {}
