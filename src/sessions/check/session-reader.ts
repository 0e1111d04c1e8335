import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Problem } from '../../platform/api/problem.js';
import { ParseCache } from '../../platform/performance/parse-cache.js';
import { MicroBatcher } from '../../platform/performance/micro-batcher.js';
import { CHECK_POOL, type Prepared } from '../../platform/persistence/database.module.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './session-snapshot.js';

/** Reads each session as one JSON text. Most texts are the same as at the last read, so their parsed form is reused. */
export const READ: Prepared = {
  name: 'read sessions',
  text: `
  select id, row_to_json(found)::text as text
  from (select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.id = any($1::uuid[])) found`,
};

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
