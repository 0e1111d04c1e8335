import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { Clock } from '../../platform/runtime/clock.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { Settings } from '../../platform/settings/settings.js';
import { CHECK_POOL } from '../../platform/persistence/database.module.js';

/** Last-seen times are saved at least this often. */
export const MAX_FLUSH_INTERVAL_MS = 10_000;

/** A statement with this many sessions takes a fraction of its timeout. */
const MAX_AT_ONCE = 2_000;

/**
 * Only moves a time forward, never changes an ended session, and skips a session whose saved time is recent enough.
 * It skips locked rows, so two flushes cannot deadlock. The lock means that another transaction renews or ends the
 * session; otherwise the next use marks it.
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
 * Records when sessions were last used. A request only writes to memory. Every few seconds, one statement saves all
 * of them. A crash loses at most one flush.
 */
@Injectable()
export class LastSeenService implements BeforeApplicationShutdown {
  private seen = new Map<string, number>();
  private readonly resolution: number;

  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly clock: Clock,
    settings: Settings,
    jobs: Jobs,
  ) {
    // A session in steady use must never look idle. Therefore at least four marks fit into the shortest idle timeout.
    const shortestIdle = Math.min(settings.sessionIdleTimeout, settings.adminSessionIdleTimeout);
    this.resolution = Math.min(settings.lastSeenResolution, shortestIdle / 4);
    const interval = Math.min(MAX_FLUSH_INTERVAL_MS, this.resolution);
    jobs.every({ name: 'last-seen', interval, scope: 'instance', run: () => this.flush() });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush().catch(() => undefined);
  }

  /** Marks a session as used now. Writes to memory only. */
  touch(sessionId: string): void {
    this.seen.set(sessionId, this.clock.now());
  }

  /** Saves all marks. If PostgreSQL fails, the marks stay in memory for the next flush. */
  async flush(): Promise<void> {
    if (this.seen.size === 0) return;
    const left = [...this.seen];
    this.seen = new Map();
    try {
      while (left.length > 0) {
        const batch = left.slice(0, MAX_AT_ONCE);
        const [ids, instants] = [batch.map(([id]) => id), batch.map(([, instant]) => instant)];
        await this.pool.query(FLUSH, [ids, instants, this.resolution / 1_000]);
        left.splice(0, batch.length);
      }
    } catch (error) {
      // Marks that were added during the flush are newer.
      this.seen = new Map([...left, ...this.seen]);
      throw error;
    }
  }
}
