import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../runtime/clock.js';
import { databaseNow } from '../persistence/database-now.js';

/** A claim that lies more than an interval in the future comes from a wrong clock and is ignored. */
const CLAIM = `
  insert into scheduled_jobs (name, begun_at) values ($1, $2)
  on conflict (name) do update set begun_at = excluded.begun_at
  where scheduled_jobs.begun_at not between excluded.begun_at - make_interval(secs => $3)
                                and excluded.begun_at + make_interval(secs => $3)
  returning name`;

/** The table `scheduled_jobs`: when any instance last started each job of the cluster. */
@Injectable()
export class ScheduledJobRepository {
  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
  ) {}

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
