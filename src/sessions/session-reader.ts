import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Problem } from '../common/problem.js';
import { LastReading } from '../common/last-reading.js';
import { TurnBatch } from '../common/turn-batch.js';
import { CHECK_POOL, type Prepared } from '../database/database.module.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './session-snapshot.js';

/** Each as one text: most are what they were when they were last read. */
export const READ: Prepared = {
  name: 'read sessions',
  text: `
  select id, row_to_json(found)::text as text
  from (select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.id = any($1::uuid[])) found`,
};

/** Reads sessions from Postgres, the judge. All that are asked for in a turn are one statement. */
@Injectable()
export class SessionReader {
  private readonly snapshots = new LastReading((_, text) => snapshotOf(JSON.parse(text) as SnapshotRow));
  private readonly turn = new TurnBatch((ids) => this.readMany(ids));

  constructor(@Inject(CHECK_POOL) private readonly pool: pg.Pool) {}

  /** @throws Problem `auth.unavailable`, whatever went wrong: an unanswered question lets nobody in and logs nobody out */
  async read(id: string): Promise<SessionSnapshot | undefined> {
    return (await this.turn.ask(id)).get(id);
  }

  /** As {@link read}, at once. */
  async readMany(ids: string[]): Promise<Map<string, SessionSnapshot>> {
    try {
      const { rows } = await this.pool.query<{ id: string; text: string }>({ ...READ, values: [ids] });
      return new Map(rows.map(({ id, text }) => [id, this.snapshots.of(id, text)]));
    } catch (error) {
      throw new Problem('auth.unavailable', { cause: error });
    }
  }
}
