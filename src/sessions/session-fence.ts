import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Settings } from '../platform/settings/settings.js';
import type { Caller } from '../platform/http/request.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';
import { sessionEnded } from './check/session-check.js';
import { shareEpoch } from './revocation/session-epoch.repository.js';
import { judge, type SessionSnapshot } from './check/session-snapshot.js';
import { CredentialKinds } from './credential-kinds.js';
import { SessionRepository } from './session.repository.js';
import { Problem } from '../platform/api/problem.js';

/**
 * Makes a business write and the end of its session, or of its API key, serialisable: the write commits before the
 * session ends, or it is refused.
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
    private readonly credentials: CredentialKinds,
    private readonly settings: Settings,
  ) {}

  /**
   * Runs `work` in a transaction that commits before the session ends, or not at all. `work` may run more than once,
   * see {@link UserTransactions}; side effects outside the transaction are not undone.
   *
   * @param caller the session of `@CurrentSession()`, or the caller of `@CurrentCaller()`
   * @throws Problem `auth.session_ended`, `auth.invalid_token` (the session does not exist), `auth.invalid_key`,
   *   `auth.unavailable`
   */
  write<T>(
    caller: Pick<SessionSnapshot, 'id' | 'userId'> | Caller,
    work: (tx: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.transactions.run(caller.userId, async (tx) => {
      if ('kind' in caller && caller.kind !== 'session') await this.credentials.lockLive(tx, caller);
      else await this.lockLive(tx, caller.id);
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
