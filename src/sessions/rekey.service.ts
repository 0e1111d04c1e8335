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

export interface Rekeying {
  /** Of the other sessions. */
  order: RevocationOrder;
  /** Judges the user as found under the lock. */
  stillProven?: StillProven;
  /** The change itself, in the same transaction. @param session before the change */
  act: (tx: EntityManager, user: User, now: Date, session: SessionSnapshot) => Promise<Changed>;
}

/** What a change has proved in its session. Instants in ms since the epoch; what is absent stays as it was. */
export interface Changed extends Partial<Pick<SessionSnapshot, 'authenticatedAt' | 'secondFactorAt'>> {
  /** The name of the audit event, where that of the order does not fit. */
  audit?: RevocationOrder['audit'];
}

/** So long after a change of credentials, the session that made it may send the request again. */
const REPEATABLE_MS = 5 * 60_000;

/**
 * One session goes on, and all others of its user end: the credentials have just changed.
 *
 * A session of the cookie transport gets new keys, and the presented access token is denied on all tiers. A client that
 * loses the answer goes on with its former keys: see `former-keys.ts`. Bearer clients keep their keys: an answer without
 * a body could not carry others, and taking away the present ones would end the one session that is to go on.
 *
 * What this session requested before is void, see {@link PendingActions}: a copy of its old keys may have requested it.
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
   * @returns null when what was proved has changed meanwhile; a grant where there is one to hand over
   * @throws Problem `auth.session_ended`, `auth.token_expired` when the keys of the session have changed meanwhile
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
   * Whether this session's last change of keys was this one, and not long ago: a client that lost the answer may be
   * sending the request again.
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
