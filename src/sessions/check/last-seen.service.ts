import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { Clock } from '../../platform/runtime/clock.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { Settings } from '../../platform/settings/settings.js';
import { CHECK_POOL } from '../../platform/persistence/database.module.js';
import { saveLastSeen } from './session-check.repository.js';

/** Last-seen times are saved at least this often. */
export const MAX_FLUSH_INTERVAL_MS = 10_000;

/** A statement with this many sessions takes a fraction of its timeout. */
const MAX_AT_ONCE = 2_000;

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
        await saveLastSeen(this.pool, batch, this.resolution);
        left.splice(0, batch.length);
      }
    } catch (error) {
      // Marks that were added during the flush are newer.
      this.seen = new Map([...left, ...this.seen]);
      throw error;
    }
  }
}
