import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../platform/runtime/clock.js';
import { Settings } from '../platform/settings/settings.js';
import { waitForLock } from '../platform/persistence/lock-waits.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';
import { sessionEnded } from './check/session-check.js';
import { shareEpoch } from './revocation/session-epoch.js';
import {
  judge,
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './check/session-snapshot.js';
import { Problem } from '../platform/api/problem.js';

/** `for key share` does not block refreshes and last-seen updates, but makes the `for update` of a revocation wait. */
const HOLD = `select ${SNAPSHOT_COLUMNS}, clock_timestamp() as now from ${SNAPSHOT_TABLES} where s.id = $1 for key share of s`;
const HOLD_IF_FREE = `${HOLD} skip locked`;

type HeldRow = SnapshotRow & { now: Date };

/**
 * Makes a business write and the end of its session serialisable: the write commits before the session ends, or it is
 * refused.
 *
 * ```ts
 * await this.fence.write(session, (tx) => tx.insert(Payment, payment));
 * ```
 */
@Injectable()
export class SessionFence {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Runs `work` in a transaction that commits before the session ends, or not at all. `work` may run more than once,
   * see {@link UserTransactions}; side effects outside the transaction are not undone.
   *
   * @throws Problem `auth.session_ended`, `auth.invalid_token` (the session does not exist), `auth.unavailable`
   */
  write<T>(
    { id, userId }: Pick<SessionSnapshot, 'id' | 'userId'>,
    work: (tx: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.transactions.run(userId, async (tx) => {
      await this.lockLive(tx, id);
      return work(tx);
    });
  }

  /**
   * For a transaction that is already open: call it first. If it throws, let the error propagate, so that the
   * transaction rolls back.
   *
   * @throws Problem `auth.session_ended`, `auth.invalid_token` (the session does not exist)
   */
  async lockLive(tx: EntityManager, sessionId: string): Promise<SessionSnapshot> {
    await shareEpoch(tx);
    const row = await this.lock(tx, sessionId);
    if (!row) throw new Problem('auth.invalid_token');
    const snapshot = snapshotOf(row);
    const ended = judge(snapshot, this.settings, this.clock.fromDatabase(row.now));
    if (ended) throw sessionEnded(ended);
    return snapshot;
  }

  private async lock(tx: EntityManager, sessionId: string): Promise<HeldRow | undefined> {
    const [free] = await tx.query<HeldRow[]>(HOLD_IF_FREE, [sessionId]);
    if (free) return free;
    const [row] = await waitForLock(tx.dataSource, () => tx.query<HeldRow[]>(HOLD, [sessionId]));
    return row;
  }
}
