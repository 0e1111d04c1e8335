import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { CHECK_POOL } from '../../platform/persistence/database.module.js';
import { BatchedReader } from './batched-reader.js';
import { READ } from './session-check.repository.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { snapshotOf, type SnapshotRow } from './session-snapshot.repository.js';

/** Reads sessions from Postgres, on the connections of session checks. */
@Injectable()
export class SessionReader extends BatchedReader<SessionSnapshot> {
  constructor(@Inject(CHECK_POOL) pool: pg.Pool) {
    super(pool, READ, (text) => snapshotOf(JSON.parse(text) as SnapshotRow));
  }
}
