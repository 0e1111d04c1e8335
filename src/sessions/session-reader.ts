import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Problem } from '../common/problem.js';
import { TurnBatch } from '../common/turn-batch.js';
import { CHECK_POOL, type Prepared } from '../database/database.module.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './session-snapshot.js';

const READ: Prepared = {
  name: 'read sessions',
  text: `select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.id = any($1::uuid[])`,
};

/** Reads sessions from Postgres, the judge. All that are asked for in a turn are one statement. */
@Injectable()
export class SessionReader {
  private readonly turn = new TurnBatch((ids) => this.readMany(ids));

  constructor(@Inject(CHECK_POOL) private readonly pool: pg.Pool) {}

  /** @throws Problem `auth.unavailable`, whatever went wrong: an unanswered question lets nobody in and logs nobody out */
  read(id: string): Promise<SessionSnapshot | undefined> {
    return this.turn.get(id);
  }

  /** As {@link read}, at once. */
  async readMany(ids: string[]): Promise<Map<string, SessionSnapshot>> {
    try {
      const { rows } = await this.pool.query<SnapshotRow>({ ...READ, values: [ids] });
      return new Map(rows.map((row) => [row.id, snapshotOf(row)]));
    } catch (error) {
      throw new Problem('auth.unavailable', { cause: error });
    }
  }
}
