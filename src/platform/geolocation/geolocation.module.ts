import { Module } from '@nestjs/common';
import { Jobs } from '../jobs/jobs.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { GeoLocator } from './geo-locator.js';

@Module({
  providers: [
    {
      provide: GeoLocator,
      inject: [Settings, Jobs, LOGGER],
      useFactory: async (settings: Settings, jobs: Jobs, logger: Logger) => {
        const locator = await GeoLocator.create(settings, logger);
        // Publishers of such databases release an update once or twice a week.
        if (settings.geoipDatabase)
          jobs.every({
            name: 'geoip-database',
            interval: '1m',
            scope: 'instance',
            run: () => locator.update(),
          });
        return locator;
      },
    },
  ],
})
export class GeolocationModule {}
