import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Problem } from '../../platform/api/problem.js';
import { ParseCache } from '../../platform/performance/parse-cache.js';
import { MicroBatcher } from '../../platform/performance/micro-batcher.js';
import { CHECK_POOL } from '../../platform/persistence/database.module.js';
import { READ } from './session-check.repository.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { snapshotOf, type SnapshotRow } from './session-snapshot.repository.js';

/** Reads sessions from Postgres, which is authoritative. Reads of the same event-loop turn share one statement. */
@Injectable()
export class SessionReader {
  private readonly snapshots = new ParseCache((_, text) => snapshotOf(JSON.parse(text) as SnapshotRow));
  private readonly turn = new MicroBatcher((ids) => this.readMany(ids));

  constructor(@Inject(CHECK_POOL) private readonly pool: pg.Pool) {}

  /**
   * Reads one session; undefined when it does not exist.
   *
   * @throws Problem `auth.unavailable` for every failure. Without an answer the server accepts no session and logs no
   * user out.
   */
  async read(id: string): Promise<SessionSnapshot | undefined> {
    return (await this.turn.ask(id)).get(id);
  }

  /** Same as {@link read}, but for several sessions and without waiting for the end of the turn. */
  async readMany(ids: string[]): Promise<Map<string, SessionSnapshot>> {
    try {
      const { rows } = await this.pool.query<{ id: string; text: string }>({ ...READ, values: [ids] });
      return new Map(rows.map(({ id, text }) => [id, this.snapshots.of(id, text)]));
    } catch (error) {
      throw new Problem('auth.unavailable', { cause: error });
    }
  }
}
