import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../../platform/http/request.js';
import type { User } from '../../users/user.entity.js';
import type { KeyChange } from './superseded-keys.js';
import { SessionRepository } from '../session.repository.js';
import { renewed } from '../stored-session.js';
import { RevocationWriter, type RevocationCause } from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { anchorOf } from './rotation.js';
import { tokenDenied } from '../check/session-check.js';
import { keepSessionKeys, rotateSessionKeys, saveProofsAndVoidRequests } from './session-keys.repository.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { SessionsService, type SessionGrant, type ProofRecheck } from '../sessions.service.js';

/** A change of credentials, for {@link CredentialChangeService.run}. */
export interface CredentialChange {
  /** How to end the other sessions. */
  cause: RevocationCause;
  /** Verifies the proof again, for the user as read under the lock. */
  recheck?: ProofRecheck;
  /**
   * Makes the change, in the same transaction.
   *
   * @param session the session before the change
   */
  act: (tx: EntityManager, user: User, now: Date, session: SessionSnapshot) => Promise<ChangedProofs>;
}

/**
 * The proofs of identity that a change adds to its session. Instants are milliseconds since the epoch. Absent
 * properties keep their values.
 */
export interface ChangedProofs extends Partial<Pick<SessionSnapshot, 'authenticatedAt' | 'secondFactorAt'>> {
  /** The type of the audit event, if it differs from that of the revocation. */
  audit?: RevocationCause['audit'];
}

/** For this long after a change of credentials, its session may repeat the request. */
const REPEATABLE_MS = 5 * 60_000;

/**
 * Changes credentials: one session goes on, and all other sessions of its user end.
 *
 * A cookie session gets new keys, and the presented access token is denied on all tiers. A client that loses the
 * response continues with its superseded keys: see `superseded-keys.ts`. A bearer session keeps its keys. A response
 * without a body cannot carry new ones, and without keys the client would lose the session.
 *
 * Requests that this session made before are void, see {@link PendingActions}: a copy of its old keys may have made
 * them.
 */
@Injectable()
export class CredentialChangeService {
  constructor(
    private readonly sessionRepository: SessionRepository,
    private readonly sessions: SessionsService,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
  ) {}

  /**
   * @returns null when the proof is no longer valid; otherwise `grant` has the new tokens, or is null for a bearer
   * session
   * @throws Problem `auth.session_ended`; `auth.token_expired` when the session's keys have changed in the meantime
   */
  run(
    { userId, sessionId, tokenId, keyVersion }: Principal,
    { cause, recheck, act }: CredentialChange,
  ): Promise<{ grant: SessionGrant | null } | null> {
    return this.revocations.commit(userId, async (tx) => {
      const locked = await this.sessionRepository.lockLive(tx, userId, sessionId);
      if (locked.session.keyVersion !== keyVersion) throw tokenDenied();
      const now = new Date(locked.now);
      if (recheck && !(await recheck(locked.user, tx, now))) return null;
      const { audit = cause.audit, ...proofs } = await act(tx, locked.user, now, locked.session);
      await this.revocationWriter.endSessions(tx, userId, { except: sessionId }, { ...cause, audit });
      const session = { ...renewed(locked, null), ...proofs };
      await saveProofsAndVoidRequests(tx, session);
      if (session.transport === 'bearer') {
        await keepSessionKeys(tx, locked, cause.reason);
        await this.revocationWriter.markStale(tx, userId, 'authenticated_at');
        return { grant: null };
      }
      const { actorId, context, reason } = cause;
      await this.revocationWriter.denyToken(tx, tokenId, { actorId, context, reason });
      const keys = await rotateSessionKeys(tx, locked, reason);
      await this.sessionRepository.saveRotation(tx, { ...locked, ...keys }, keys.rotation, null);
      const grant = {
        user: locked.user,
        session: { ...session, keyVersion: keys.keyVersion },
        decidedAt: locked.now,
        refreshToken: this.sessions.mint(sessionId, keys.nonce, anchorOf(keys.rotation), locked.now),
      };
      return { grant };
    });
  }

  /**
   * Whether this change was the session's last change of keys, at most five minutes ago. A client that lost the
   * response may be sending the request again.
   */
  async mayRepeat({ sessionId }: Principal, change: KeyChange): Promise<boolean> {
    const { superseded, now } = (await this.sessionRepository.find(sessionId)) ?? {
      superseded: null,
      now: 0,
    };
    return superseded?.change === change && now - superseded.changedAt <= REPEATABLE_MS;
  }
}
