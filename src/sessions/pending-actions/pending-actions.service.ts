import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { PendingActionPolicy, type PendingAction } from '../../platform/mail/pending-action.js';
import { Settings } from '../../platform/settings/settings.js';
import {
  judge,
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SnapshotRow,
} from '../check/session-snapshot.js';

const REQUESTING_SESSION = `
  select ${SNAPSHOT_COLUMNS}, s.pending_not_before, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1 and s.user_id = $2`;

const REQUESTS_OF_USER = `
  select $2::timestamptz > greatest(u.pending_not_before, e.not_before) as authorized
  from users u cross join session_epoch e where u.id = $1`;

const REQUEST_TIME = `
  select clock_timestamp() as now, greatest(u.pending_not_before, s.pending_not_before, e.not_before) as not_before
  from users u cross join session_epoch e left join sessions s on s.id = $2 where u.id = $1`;

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
    if (sessionId === null) {
      const [user] = await tx.query<{ authorized: boolean }[]>(REQUESTS_OF_USER, [userId, requestedAt]);
      return user?.authorized ?? false;
    }
    const [session] = await tx.query<(SnapshotRow & { pending_not_before: Date | number; now: Date })[]>(
      REQUESTING_SESSION,
      [sessionId, userId],
    );
    if (!session || Number(session.pending_not_before) >= requestedAt.getTime()) return false;
    return judge(snapshotOf(session), this.settings, this.clock.fromDatabase(session.now)) === null;
  }

  /**
   * The time to record as `requestedAt`. Under the user's lock it is later than every earlier revocation, even within
   * one millisecond or after the clock has stepped back.
   */
  async requestedAt(
    tx: EntityManager,
    { userId, sessionId }: Pick<PendingAction, 'userId' | 'sessionId'>,
  ): Promise<Date> {
    const [row] = await tx.query<{ now: Date; not_before: Date | number }[]>(REQUEST_TIME, [
      userId,
      sessionId,
    ]);
    return new Date(Math.max(this.clock.fromDatabase(row!.now), Number(row!.not_before) + 1));
  }
}
