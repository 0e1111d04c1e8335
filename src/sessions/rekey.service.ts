import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../common/clock.js';
import type { Principal } from '../common/request.js';
import { databaseNow } from '../database/database-now.js';
import type { User } from '../users/user.entity.js';
import { UserTransactions } from '../users/user-transactions.js';
import { UsersService } from '../users/users.service.js';
import { RevocationLog, type Recorded, type RevocationOrder } from './revocation-log.js';
import { RevocationService } from './revocation.service.js';
import { anchorOf } from './rotation.js';
import { changeKeys } from './session-keys.js';
import { SessionFence } from './session-fence.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { SessionsService, type SessionGrant } from './sessions.service.js';

export interface Rekeying {
  /** Of the other sessions. */
  order: RevocationOrder;
  /** Judges the user as found under the lock. */
  stillProven?: (user: User) => Promise<boolean>;
  /** What it is all for, in the same transaction. @returns what has been proved in this session by it */
  act: (tx: EntityManager, user: User, now: Date) => Promise<Proofs>;
}

/** Instants in ms since the epoch; what is absent stays as it was. */
export type Proofs = Partial<Pick<SessionSnapshot, 'authenticatedAt' | 'secondFactorAt'>>;

/**
 * One session goes on, and all others of its user end: the credentials have just changed.
 *
 * A session of the cookie transport gets new keys, and the access token that was presented is denied on all tiers. Bearer clients keep theirs: an answer without a body could not
 * hand them others, and taking away what they have would end the one session that is to go on.
 *
 * What this session requested before is void, see {@link PendingActions}: a copy of its old keys may have requested it.
 */
@Injectable()
export class RekeyService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly users: UsersService,
    private readonly fence: SessionFence,
    private readonly sessions: SessionsService,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
  ) {}

  /**
   * @returns null when what was proved has changed meanwhile; a grant where there is one to hand over
   * @throws Problem `auth.session_ended`
   */
  async rekey(
    { userId, sessionId, tokenId }: Principal,
    { order, stillProven, act }: Rekeying,
  ): Promise<{ grant: SessionGrant | null } | null> {
    const done = await this.transactions.run(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      const session = await this.fence.hold(tx, sessionId);
      if (!user || (stillProven && !(await stillProven(user)))) return null;
      const now = await databaseNow(tx, this.clock);
      const proofs = await act(tx, user, now);
      const ended = await this.log.endSessions(tx, userId, { except: sessionId }, order);
      const fresh = { ...session, ...proofs, lastSeenAt: now.getTime() };
      await this.writeProofs(tx, fresh);
      if (session.transport === 'bearer')
        return { grant: null, recorded: [ended, await this.log.markStale(tx, userId, 'authenticated_at')] };
      const { actorId, origin, reason } = order;
      const denied = await this.log.denyToken(tx, tokenId, { actorId, origin, reason });
      const grant = { user, ...(await this.newKeys(tx, fresh)) };
      return { grant, recorded: [ended, denied].filter((one): one is Recorded => one !== null) };
    });
    if (!done) return null;
    for (const recorded of done.recorded) await this.revocations.settle(recorded);
    return { grant: done.grant };
  }

  private async writeProofs(
    tx: EntityManager,
    { id, authenticatedAt, secondFactorAt, lastSeenAt }: SessionSnapshot,
  ) {
    await tx.query(
      `update sessions set authenticated_at = $2, second_factor_at = $3, former_keys = null,
         pending_not_before = greatest(pending_not_before, $4) where id = $1`,
      [id, new Date(authenticatedAt), secondFactorAt && new Date(secondFactorAt), new Date(lastSeenAt)],
    );
  }

  private async newKeys(tx: EntityManager, session: SessionSnapshot): Promise<Omit<SessionGrant, 'user'>> {
    const decidedAt = session.lastSeenAt;
    const { nonce, rotation, edition } = await changeKeys(tx, session, null);
    await tx.query('update sessions set last_seen_at = greatest(last_seen_at, $2) where id = $1', [
      session.id,
      new Date(decidedAt),
    ]);
    const refreshToken = this.sessions.mint(session.id, nonce, anchorOf(rotation), decidedAt);
    return { session: { ...session, edition }, decidedAt, refreshToken };
  }
}
