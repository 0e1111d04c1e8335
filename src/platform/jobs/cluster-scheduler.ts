import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../runtime/clock.js';
import { repeat } from './repeat.js';
import { databaseNow } from '../persistence/database-now.js';

/**
 * Less than 1, because a timer may fire slightly early: with 1, a single instance would run a job only at every
 * second interval.
 */
const CLAIMED_SHARE_OF_INTERVAL = 0.9;

/** A claim that lies more than an interval in the future comes from a wrong clock and is ignored. */
const CLAIM = `
  insert into scheduled_jobs (name, begun_at) values ($1, $2)
  on conflict (name) do update set begun_at = excluded.begun_at
  where scheduled_jobs.begun_at not between excluded.begun_at - make_interval(secs => $3)
                                and excluded.begun_at + make_interval(secs => $3)
  returning name`;

/**
 * Runs scheduled jobs, each on one instance at a time. No lock is held while a job runs. If its instance dies, or if
 * the job fails or takes longer than an interval, another instance starts it again. A job must tolerate that.
 */
@Injectable()
export class ClusterScheduler {
  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
  ) {}

  /** As {@link repeat}, but all instances share the runs. */
  every(
    interval: number,
    name: string,
    work: () => Promise<unknown>,
    onError: (error: unknown) => void,
  ): () => void {
    return repeat(interval, () => this.turn(interval, name, work), onError);
  }

  async turn(interval: number, name: string, work: () => Promise<unknown>): Promise<void> {
    if (await this.claim(name, interval * CLAIMED_SHARE_OF_INTERVAL)) await work();
  }

  /**
   * @param interval in ms
   * @returns true if no instance has started this job within the last `interval` ms; the caller then has, now
   */
  async claim(name: string, interval: number): Promise<boolean> {
    const now = await databaseNow(this.database.manager, this.clock);
    const claimed = await this.database.query<unknown[]>(CLAIM, [name, now, interval / 1_000]);
    return claimed.length === 1;
  }
}
