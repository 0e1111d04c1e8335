import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../common/request.js';
import type { User } from '../users/user.entity.js';
import { UserTransactions } from '../database/user-transactions.js';
import type { KeyChange } from './former-keys.js';
import { renewed, SessionHold } from './held-session.js';
import { RevocationLog, type Recorded, type RevocationOrder } from './revocation-log.js';
import { RevocationService } from './revocation.service.js';
import { anchorOf } from './rotation.js';
import { tokenDenied } from './session-check.js';
import { changeKeys, keepKeys } from './session-keys.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { SessionsService, type SessionGrant, type StillProven } from './sessions.service.js';

/** A change of credentials, for {@link RekeyService.rekey}. */
export interface Rekeying {
  /** How to end the other sessions. */
  order: RevocationOrder;
  /** Verifies the proof again, for the user as read under the lock. */
  stillProven?: StillProven;
  /**
   * Makes the change, in the same transaction.
   *
   * @param session the session before the change
   */
  act: (tx: EntityManager, user: User, now: Date, session: SessionSnapshot) => Promise<Changed>;
}

/**
 * The proofs of identity that a change adds to its session. Instants are milliseconds since the epoch. Absent
 * properties keep their values.
 */
export interface Changed extends Partial<Pick<SessionSnapshot, 'authenticatedAt' | 'secondFactorAt'>> {
  /** The type of the audit event, if it differs from that of the revocation. */
  audit?: RevocationOrder['audit'];
}

/** For this long after a change of credentials, its session may repeat the request. */
const REPEATABLE_MS = 5 * 60_000;

/**
 * Changes credentials: one session goes on, and all other sessions of its user end.
 *
 * A cookie session gets new keys, and the presented access token is denied on all tiers. A client that loses the
 * response continues with its superseded keys: see `former-keys.ts`. A bearer session keeps its keys. A response
 * without a body cannot carry new ones, and without keys the client would lose the session.
 *
 * Requests that this session made before are void, see {@link PendingActions}: a copy of its old keys may have made
 * them.
 */
@Injectable()
export class RekeyService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly hold: SessionHold,
    private readonly sessions: SessionsService,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
  ) {}

  /**
   * @returns null when the proof is no longer valid; otherwise `grant` has the new tokens, or is null for a bearer
   * session
   * @throws Problem `auth.session_ended`; `auth.token_expired` when the session's keys have changed in the meantime
   */
  async rekey(
    { userId, sessionId, tokenId, edition }: Principal,
    { order, stillProven, act }: Rekeying,
  ): Promise<{ grant: SessionGrant | null } | null> {
    const done = await this.transactions.run(userId, async (tx) => {
      const held = await this.hold.live(tx, userId, sessionId);
      if (held.session.edition !== edition) throw tokenDenied();
      const now = new Date(held.now);
      if (stillProven && !(await stillProven(held.user, tx, now))) return null;
      const { audit = order.audit, ...proofs } = await act(tx, held.user, now, held.session);
      const ended = await this.log.endSessions(tx, userId, { except: sessionId }, { ...order, audit });
      const session = { ...renewed(held, null), ...proofs };
      await writeProofs(tx, session);
      if (session.transport === 'bearer') {
        await keepKeys(tx, held, order.reason);
        return { grant: null, recorded: [ended, await this.log.markStale(tx, userId, 'authenticated_at')] };
      }
      const { actorId, origin, reason } = order;
      const denied = await this.log.denyToken(tx, tokenId, { actorId, origin, reason });
      const keys = await changeKeys(tx, held, reason);
      await this.hold.renew(tx, { ...held, ...keys }, keys.rotation, null);
      const grant = {
        user: held.user,
        session: { ...session, edition: keys.edition },
        decidedAt: held.now,
        refreshToken: this.sessions.mint(sessionId, keys.nonce, anchorOf(keys.rotation), held.now),
      };
      return { grant, recorded: [ended, denied].filter((one): one is Recorded => one !== null) };
    });
    if (!done) return null;
    for (const recorded of done.recorded) await this.revocations.settle(recorded);
    return { grant: done.grant };
  }

  /**
   * Whether this change was the session's last change of keys, at most five minutes ago. A client that lost the
   * response may be sending the request again.
   */
  async mayRepeat({ sessionId }: Principal, change: KeyChange): Promise<boolean> {
    const { former, now } = (await this.hold.find(sessionId)) ?? { former: null, now: 0 };
    return former?.change === change && now - former.changedAt <= REPEATABLE_MS;
  }
}

async function writeProofs(
  tx: EntityManager,
  { id, authenticatedAt, secondFactorAt, lastSeenAt }: SessionSnapshot,
) {
  await tx.query(
    `update sessions set authenticated_at = $2, second_factor_at = $3,
       pending_not_before = greatest(pending_not_before, $4) where id = $1`,
    [id, new Date(authenticatedAt), secondFactorAt && new Date(secondFactorAt), new Date(lastSeenAt)],
  );
}
