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

/** A statement of so many takes a fraction of the time that it may take. */
const MOST_AT_ONCE = 2_000;

/**
 * Moves forward only, never touches an ended session, and leaves alone what is fresh enough. It waits for nobody, so that
 * no two can wait for each other: who holds a row is about to renew the session or to end it, or the next use marks it.
 */
const FLUSH = `
  with seen as (
    select id, to_timestamp(ms / 1000) as at from unnest($1::uuid[], $2::float8[]) at_once (id, ms)),
  due as (
    select s.id, seen.at from sessions s join seen using (id)
    where s.status = 'active' and s.last_seen_at <= seen.at - make_interval(secs => $3)
    for no key update of s skip locked)
  update sessions s set last_seen_at = due.at from due where s.id = due.id`;

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
    const left = [...this.seen];
    this.seen = new Map();
    try {
      while (left.length > 0) {
        const batch = left.slice(0, MOST_AT_ONCE);
        const [ids, instants] = [batch.map(([id]) => id), batch.map(([, instant]) => instant)];
        await this.pool.query(FLUSH, [ids, instants, this.resolution / 1_000]);
        left.splice(0, batch.length);
      }
    } catch (error) {
      // What was seen since is newer.
      this.seen = new Map([...left, ...this.seen]);
      throw error;
    }
  }
}
