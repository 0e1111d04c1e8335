import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../common/clock.js';
import { every } from '../common/every.js';
import { databaseNow } from './database-now.js';

/** Less than all of it: a timer that rings a little early must not be refused, or a lone instance would do every second turn. */
const CLAIMED_SHARE_OF_INTERVAL = 0.9;

/** A claim from further ahead than an interval is by a clock that was wrong, and keeps nobody away. */
const CLAIM = `
  insert into chores (name, begun_at) values ($1, $2)
  on conflict (name) do update set begun_at = excluded.begun_at
  where chores.begun_at not between excluded.begun_at - make_interval(secs => $3)
                                and excluded.begun_at + make_interval(secs => $3)
  returning name`;

/**
 * What one instance does for all of them. Nothing is held meanwhile: when it dies at its chore, or fails, another one begins an
 * interval later; when it takes longer than that, so does another one. A chore must not mind.
 */
@Injectable()
export class Chores {
  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
  ) {}

  /** As {@link every}, with the turns shared by all instances. */
  every(
    interval: number,
    name: string,
    work: () => Promise<unknown>,
    onError: (error: unknown) => void,
  ): () => void {
    return every(interval, () => this.turn(interval, name, work), onError);
  }

  async turn(interval: number, name: string, work: () => Promise<unknown>): Promise<void> {
    if (await this.claim(name, interval * CLAIMED_SHARE_OF_INTERVAL)) await work();
  }

  /** @returns whether nobody has begun this chore within the last `interval` ms; then the caller has, now */
  async claim(name: string, interval: number): Promise<boolean> {
    const now = await databaseNow(this.database.manager, this.clock);
    const claimed = await this.database.query<unknown[]>(CLAIM, [name, now, interval / 1_000]);
    return claimed.length === 1;
  }
}
