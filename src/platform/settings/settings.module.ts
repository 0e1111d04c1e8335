import { Global, Module, type DynamicModule, type Type } from '@nestjs/common';
import { AlignedClock, Clock, SystemClock } from '../runtime/clock.js';
import { createLogger, LOGGER, type Logger } from '../logging/logger.js';
import type { Keys } from '../keys/key-format.js';
import { KeyStore } from '../keys/key-store.js';
import { Metrics } from '../metrics/metrics.js';
import { RequestOutcomes } from '../metrics/request-outcomes.js';
import { Settings } from './settings.js';

/** Replacements of shared providers, and features that only tests have. */
export interface Replacements {
  clock?: Clock;
  logger?: Logger;
  /** Modules beside those of `features.ts`. */
  features?: Type[];
  /** True for a command, which serves nothing and is no instance. */
  isCommand?: boolean;
}

/** Provides the settings, the keys, the clock, the logger and the metrics to all modules. */
@Global()
@Module({})
export class SettingsModule {
  static forRoot(settings: Settings, keys: Keys, { clock, logger }: Replacements = {}): DynamicModule {
    return {
      module: SettingsModule,
      providers: [
        { provide: Settings, useValue: settings },
        { provide: KeyStore, useValue: new KeyStore(keys) },
        { provide: AlignedClock, useValue: new AlignedClock(clock ?? new SystemClock()) },
        { provide: Clock, useExisting: AlignedClock },
        { provide: LOGGER, useValue: logger ?? createLogger(settings.logLevel, false) },
        Metrics,
        RequestOutcomes,
      ],
      exports: [Settings, KeyStore, AlignedClock, Clock, LOGGER, Metrics, RequestOutcomes],
    };
  }
}
