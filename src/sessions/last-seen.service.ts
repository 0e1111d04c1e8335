import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type pg from 'pg';
import { Clock } from '../common/clock.js';
import { every } from '../common/every.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { CHECK_POOL } from '../database/database.module.js';

/** What was seen is written down after so long at most. */
export const MOST_FLUSH_INTERVAL_MS = 10_000;

/** Moves forward only, never touches an ended session, and leaves alone what is fresh enough. */
const FLUSH = `
  update sessions s set last_seen_at = seen.at
  from (select id, to_timestamp(ms / 1000) as at from unnest($1::uuid[], $2::float8[]) at_once (id, ms)) seen
  where s.id = seen.id and s.status = 'active' and s.last_seen_at <= seen.at - make_interval(secs => $3)`;

/**
 * Notes when sessions were used. A request only writes to memory; one statement every few seconds
 * writes for all. What a crash loses is at most one flush.
 */
@Injectable()
export class LastSeenService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private seen = new Map<string, number>();
  private stop: () => void = () => undefined;
  private readonly resolution: number;

  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    // A session in steady use must never look idle: four marks fit into the shortest timeout.
    const shortestIdle = Math.min(settings.sessionIdleTimeout, settings.adminSessionIdleTimeout);
    this.resolution = Math.min(settings.lastSeenResolution, shortestIdle / 4);
  }

  onApplicationBootstrap(): void {
    const interval = Math.min(MOST_FLUSH_INTERVAL_MS, this.resolution);
    const failed = (error: unknown) =>
      this.logger.debug({ err: error }, 'last-seen times wait for PostgreSQL');
    this.stop = every(interval, () => this.flush(), failed);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stop();
    await this.flush().catch(() => undefined);
  }

  touch(sessionId: string): void {
    this.seen.set(sessionId, this.clock.now());
  }

  async flush(): Promise<void> {
    if (this.seen.size === 0) return;
    const batch = this.seen;
    this.seen = new Map();
    try {
      await this.pool.query(FLUSH, [[...batch.keys()], [...batch.values()], this.resolution / 1_000]);
    } catch (error) {
      // What was seen since is newer.
      this.seen = new Map([...batch, ...this.seen]);
      throw error;
    }
  }
}
