import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { Origin, Principal } from '../common/request.js';
import { UserTransactions } from '../database/user-transactions.js';
import { isDeviceTokenOf, renewed, SessionHold } from './held-session.js';
import { RevocationLog } from './revocation-log.js';
import { RevocationService } from './revocation.service.js';
import { anchorOf } from './rotation.js';
import { tokenDenied } from './session-check.js';
import { changeKeys } from './session-keys.js';
import { SessionsService, type SessionGrant, type StillProven } from './sessions.service.js';
import { SuspicionService } from './suspicion.service.js';

/** A proof of identity for a step-up. */
export interface Proof {
  by: 'password' | 'second_factor';
  /** Verifies the proof again, for the user as read under the lock. */
  stillProven: StillProven;
}

/**
 * Step-up: the user has proved their identity again, so the session is fresh. Only the client that receives this
 * response may use the freshness. Therefore the session gets new keys (ASVS 7.2.4), and no copy of its earlier tokens
 * is fresh. A client that loses the response stays logged in, see `former-keys.ts`.
 */
@Injectable()
export class StepUp {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly hold: SessionHold,
    private readonly sessions: SessionsService,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly suspicion: SuspicionService,
    private readonly audit: AuditService,
  ) {}

  /**
   * Renews the proof of identity, and the keys of the session.
   *
   * @returns null when the proof is no longer valid
   * @throws Problem `auth.session_ended`; `auth.token_expired` when another step-up of the session was faster
   */
  async renew(
    { sessionId, userId, tokenId, edition }: Principal,
    shownDeviceToken: string | null,
    origin: Origin,
    { by, stillProven }: Proof,
  ): Promise<SessionGrant | null> {
    const done = await this.transactions.run(userId, async (tx) => {
      const held = await this.hold.live(tx, userId, sessionId);
      if (held.session.edition !== edition) throw tokenDenied();
      const now = new Date(held.now);
      if (!(await stillProven(held.user, tx, now))) return null;
      const actor = { actorId: userId, origin };
      const who = { ...actor, userId, sessionId };
      await this.audit.record(tx, { type: 'authn_reauthenticated', ...who, details: { by } });
      const denied = await this.log.denyToken(tx, tokenId, { ...actor, reason: 'step_up' });
      await this.suspicion.accept(tx, held, origin);
      const proofs = {
        authenticatedAt: held.now,
        secondFactorAt: by === 'second_factor' ? held.now : held.session.secondFactorAt,
      };
      await tx.query('update sessions set authenticated_at = $2, second_factor_at = $3 where id = $1', [
        sessionId,
        now,
        proofs.secondFactorAt && new Date(proofs.secondFactorAt),
      ]);
      const keys = await changeKeys(tx, held, 'step_up');
      await this.hold.renew(tx, { ...held, ...keys }, keys.rotation, origin);
      const grant = {
        user: held.user,
        session: { ...renewed(held, origin), ...proofs, edition: keys.edition },
        decidedAt: held.now,
        refreshToken: this.sessions.mint(sessionId, keys.nonce, anchorOf(keys.rotation), held.now),
        deviceToken: isDeviceTokenOf(held, shownDeviceToken) ? shownDeviceToken! : undefined,
      };
      return { grant, denied };
    });
    if (!done) return null;
    if (done.denied) await this.revocations.settle(done.denied);
    return done.grant;
  }
}
