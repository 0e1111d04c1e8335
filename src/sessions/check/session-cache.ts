import { Injectable } from '@nestjs/common';
import { CachePort } from '../../platform/cache/cache-port.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { LeasedCache } from './leased-cache.js';
import * as codec from './session-cache.codec.js';
import type { SessionSnapshot } from './session-snapshot.js';

/** The session cache of the session check. */
@Injectable()
export class SessionCache extends LeasedCache<SessionSnapshot> {
  constructor(cache: CachePort, clock: Clock, settings: Settings) {
    super(cache, clock, settings, codec);
  }
}
