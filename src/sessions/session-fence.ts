import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Settings } from '../platform/settings/settings.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';
import { sessionEnded } from './check/session-check.js';
import { shareEpoch } from './revocation/session-epoch.repository.js';
import { judge, type SessionSnapshot } from './check/session-snapshot.js';
import { SessionRepository } from './session.repository.js';
import { Problem } from '../platform/api/problem.js';

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
    private readonly sessions: SessionRepository,
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
    const found = await this.sessions.share(tx, sessionId);
    if (!found) throw new Problem('auth.invalid_token');
    const ended = judge(found.session, this.settings, found.now);
    if (ended) throw sessionEnded(ended);
    return found.session;
  }
}
