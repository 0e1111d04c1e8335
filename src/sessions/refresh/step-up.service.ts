import { Injectable } from '@nestjs/common';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { SessionRepository } from '../session.repository.js';
import { SessionBindings } from '../binding/session-bindings.service.js';
import type { KeyProof } from '../binding/session-binding.js';
import { isDeviceTokenOf, renewed } from '../stored-session.js';
import { RevocationWriter } from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { anchorOf } from './rotation.js';
import { tokenDenied } from '../check/session-check.js';
import { rotateSessionKeys, saveProofs } from './session-keys.repository.js';
import { SessionsService, type SessionGrant, type ProofRecheck } from '../sessions.service.js';
import { SessionRiskService } from '../risk/session-risk.service.js';

/** A proof of identity for a step-up. */
export interface Proof {
  by: 'password' | 'second_factor';
  /** Verifies the proof again, for the user as read under the lock. */
  recheck: ProofRecheck;
}

/**
 * Step-up: the user has proved their identity again, so the session is fresh. Only the client that receives this
 * response may use the freshness. Therefore the session gets new keys (ASVS 7.2.4), and no copy of its earlier tokens
 * is fresh. A client that loses the response stays logged in, see `superseded-keys.ts`.
 */
@Injectable()
export class StepUpService {
  constructor(
    private readonly sessionRepository: SessionRepository,
    private readonly sessions: SessionsService,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly sessionRisk: SessionRiskService,
    private readonly bindings: SessionBindings,
    private readonly audit: AuditService,
  ) {}

  /**
   * Renews the proof of identity, and the keys of the session.
   *
   * @returns null when the proof is no longer valid
   * @throws Problem `auth.session_ended`; `auth.token_expired` when another step-up of the session was faster;
   * `auth.reauthentication_required` when a device without the session's key must prove a second factor
   */
  rotateKeys(
    { sessionId, userId, tokenId, keyVersion }: Principal,
    shown: { deviceToken: string | null; keyProof: KeyProof | null },
    context: RequestContext,
    { by, recheck }: Proof,
  ): Promise<SessionGrant | null> {
    return this.revocations.commit(userId, async (tx) => {
      const locked = await this.sessionRepository.lockLive(tx, userId, sessionId);
      if (locked.session.keyVersion !== keyVersion) throw tokenDenied();
      const now = new Date(locked.now);
      if (!(await recheck(locked.user, tx, now))) return null;
      const actor = { actorId: userId, context };
      const who = { ...actor, userId, sessionId };
      await this.audit.record(tx, { type: 'authn_reauthenticated', ...who, details: { by } });
      await this.revocationWriter.denyToken(tx, tokenId, { ...actor, reason: 'step_up' });
      await this.sessionRisk.accept(tx, locked, context);
      const bound = await this.bindings.afterStepUp(tx, locked, { ...shown, by, context });
      const proofs = {
        authenticatedAt: locked.now,
        secondFactorAt: by === 'second_factor' ? locked.now : locked.session.secondFactorAt,
      };
      await saveProofs(tx, { id: sessionId, ...proofs });
      const keys = await rotateSessionKeys(tx, locked, 'step_up');
      await this.sessionRepository.saveRotation(tx, { ...locked, ...keys, ...bound }, keys.rotation, context);
      return {
        user: locked.user,
        session: {
          ...renewed(locked, context),
          ...proofs,
          keyVersion: keys.keyVersion,
          binding: bound.binding,
        },
        decidedAt: locked.now,
        refreshToken: this.sessions.mint(sessionId, keys.nonce, anchorOf(keys.rotation), locked.now),
        deviceToken: isDeviceTokenOf(locked, shown.deviceToken) ? shown.deviceToken! : undefined,
      };
    });
  }
}
