import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { PendingActionPolicy, type PendingAction } from '../../platform/mail/pending-action.js';
import { Settings } from '../../platform/settings/settings.js';
import { judge } from '../check/session-snapshot.js';
import { findRequester, mayRequestOfUser, readRequestTime } from './pending-actions.repository.js';

/**
 * The single rule for every action that is requested now and takes effect later, such as a change of address:
 *
 * - An action is void when the session that requested it has ended, for any reason.
 * - An action that was requested without a session is void when the user's sessions, or everyone's, have been ended
 *   since.
 * - A change of credentials voids the actions requested before it, also those of the session that goes on. A copy of
 *   its old tokens may have requested them.
 *
 * Revocations do not search for pending actions. Each action records its user, its session and its time, and is
 * judged when it takes effect.
 */
@Injectable()
export class PendingActions extends PendingActionPolicy {
  constructor(
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {
    super();
  }

  /**
   * Call it in the transaction of the effect, with `shareEpoch` and the user's lock. The effect and a revocation are
   * then serialised: the later one sees the earlier one.
   *
   * @returns whether the action may still take effect
   */
  async isAuthorized(tx: EntityManager, { userId, sessionId, requestedAt }: PendingAction): Promise<boolean> {
    if (sessionId === null) return mayRequestOfUser(tx, userId, requestedAt);
    const found = await findRequester(tx, userId, sessionId);
    if (!found || found.pendingNotBefore >= requestedAt.getTime()) return false;
    return judge(found.session, this.settings, this.clock.fromDatabase(found.now)) === null;
  }

  /**
   * The time to record as `requestedAt`. Under the user's lock it is later than every earlier revocation, even within
   * one millisecond or after the clock has stepped back.
   */
  async requestedAt(
    tx: EntityManager,
    { userId, sessionId }: Pick<PendingAction, 'userId' | 'sessionId'>,
  ): Promise<Date> {
    const { now, notBefore } = await readRequestTime(tx, userId, sessionId);
    return new Date(Math.max(this.clock.fromDatabase(now), notBefore + 1));
  }
}
