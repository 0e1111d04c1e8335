import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { KeyStore } from '../../platform/keys/key-store.js';
import { Settings } from '../../platform/settings/settings.js';
import { RevocationDatabase } from '../../platform/persistence/revocation-database.js';
import { SessionRepository } from '../session.repository.js';
import { bindsSessions, holdsKey, type KeyProof } from '../binding/session-binding.js';
import { isDeviceTokenOf, renewed, type LockedSession, type StoredSession } from '../stored-session.js';
import { RefreshRefusals, type Refusal, type RefreshResult } from './refresh-refusals.service.js';
import { resumeSupersededKeys } from './session-keys.repository.js';
import { resume } from './superseded-keys.js';
import { parseRefreshToken, verifyRefreshToken, type ParsedRefreshToken } from './refresh-token.js';
import { RevocationWriter, type RevocationTx } from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { rotate, rotateForKey, type RefreshPosition, type Rotation } from './rotation.js';
import type { Transport } from '../session.entity.js';
import { SessionsService, type SessionGrant } from '../sessions.service.js';
import { endedForRisk, SessionRiskService } from '../risk/session-risk.service.js';

/** The credentials and the request context of a refresh. */
export interface RefreshRequest {
  refreshToken: string;
  deviceToken: string | null;
  /** The proof of the device key; null without one. */
  keyProof: KeyProof | null;
  transport: Transport;
  context: RequestContext;
}

/** The keys that a token was minted with: the session's current keys, or its superseded keys. */
type KeySet = 'current' | 'superseded';

/** A grant, or the problem that is thrown after the commit. */
type Outcome = { grant: SessionGrant; result: 'rotated' | 'repeated' } | (Refusal & { grant?: never });

/**
 * Renews sessions; `rotation.ts` decides, and this service acts. Most refreshes do not overlap with another one and
 * show no risk signal. The service decides them from an unlocked read, and writes only if that state still holds. All
 * others lock the session.
 */
@Injectable()
export class RefreshService {
  /** How many refreshes had each result. */
  readonly results: Record<RefreshResult, number> = {
    rotated: 0,
    repeated: 0,
    reuse: 0,
    superseded: 0,
    unknown: 0,
    unproven: 0,
    risk: 0,
    refused: 0,
    failed: 0,
  };

  constructor(
    private readonly revocationDatabase: RevocationDatabase,
    private readonly sessionRepository: SessionRepository,
    private readonly sessions: SessionsService,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly sessionRisk: SessionRiskService,
    private readonly refusals: RefreshRefusals,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly keys: KeyStore,
    private readonly settings: Settings,
  ) {}

  /**
   * The session that an authentic refresh token names, at any position of the rotation. Logout uses it.
   *
   * @returns null when this server did not mint the token, or minted it for the other transport
   */
  async sessionOf(
    refreshToken: string,
    transport: Transport,
  ): Promise<{ sessionId: string; userId: string } | null> {
    const authentic = await this.authenticate(refreshToken, transport, this.revocationDatabase.pool);
    return authentic && { sessionId: authentic.token.sessionId, userId: authentic.stored.session.userId };
  }

  /**
   * Exchanges a refresh token for a new grant.
   *
   * @throws DeviceKeyUnproven when the session is bound to a device key that the request does not prove
   * @throws Problem `auth.invalid_token`, `auth.session_ended` (also when this call ends it, with reason
   * `refresh_reuse` or `suspicious`), `auth.unavailable`
   */
  async refresh(request: RefreshRequest): Promise<SessionGrant> {
    const outcome = await this.decide(request).catch((error: unknown) => {
      const isRefused = error instanceof Problem && error.code !== 'auth.unavailable';
      this.results[isRefused ? 'refused' : 'failed'] += 1;
      throw error;
    });
    this.results[outcome.result] += 1;
    // The transaction has committed, so its changes stay even if the response is an error.
    if (!outcome.grant) throw outcome.problem;
    return outcome.grant;
  }

  private async decide(request: RefreshRequest): Promise<Outcome> {
    const authentic = await this.authenticate(request.refreshToken, request.transport);
    if (!authentic) throw new Problem('auth.invalid_token');
    const { token, stored, keySet } = authentic;
    const outcome = keySet === 'current' ? await this.refreshUnlocked(stored, token, request) : null;
    return outcome ?? this.refreshUnderLock(stored.session.userId, token, request);
  }

  /** @returns null when the refresh must be decided under the lock */
  private async refreshUnlocked(
    stored: StoredSession,
    token: RefreshPosition,
    { context, deviceToken, keyProof }: RefreshRequest,
  ): Promise<Outcome | null> {
    if (this.sessionRepository.endedState(stored) || !holdsKey(stored, keyProof, this.settings)) return null;
    const proof = isDeviceTokenOf(stored, deviceToken);
    const rotation = this.rotate(stored, token, proof);
    if (rotation.decision.outcome !== 'issue') return null;
    if (this.sessionRisk.isUnusual(stored.session, context, stored.now)) return null;
    const handed = { deviceToken: proof ? deviceToken! : undefined, moved: context };
    const grant = await this.grant(null, stored, rotation, handed);
    return grant && { grant, result: resultOf(rotation) };
  }

  private async refreshUnderLock(
    userId: string,
    token: ParsedRefreshToken,
    request: RefreshRequest,
  ): Promise<Outcome> {
    return this.revocations.commit<Outcome>(userId, async (tx) => {
      const locked = await this.sessionRepository.lockLive(tx, userId, token.sessionId);
      // The session may have got new keys since the first read. Then this token may match neither its current nor its
      // superseded keys.
      const keySet = this.keySetOf(token, locked);
      if (!keySet) throw new Problem('auth.invalid_token');
      // Before everything else: a copy must not change the session, whatever token it presents.
      if (!holdsKey(locked, request.keyProof, this.settings))
        return this.refusals.refuseUnproven(tx, locked, request);
      const proof = isDeviceTokenOf(locked, request.deviceToken);
      if (keySet === 'superseded') return this.resume(tx, locked, token, { ...request, proof });
      const rotation = this.rotate(locked, token, proof);
      switch (rotation.decision.outcome) {
        case 'issue':
          return this.issue(tx, locked, rotation, { ...request, proof });
        case 'reuse':
          return this.refusals.endForReuse(tx, locked, token, request);
        case 'superseded':
          return this.refusals.refuseSuperseded(locked);
        case 'unknown':
          return this.refusals.reportUnknown(tx, locked, token, request);
      }
    });
  }

  /** The caller has checked that the request proves the key of a bound session. */
  private rotate(stored: StoredSession, token: RefreshPosition, proof: boolean): Rotation {
    const moment = this.moment(stored);
    return this.isBound(stored)
      ? rotateForKey(stored.rotation, token, moment)
      : rotate(stored.rotation, token, { ...moment, proof });
  }

  private isBound({ session }: StoredSession): boolean {
    return session.binding !== null && bindsSessions(this.settings);
  }

  private moment({ now }: StoredSession) {
    return { now, grace: this.settings.refreshGrace };
  }

  /** A session keeps the transport of its login. On the other transport its tokens are not authentic. */
  private async authenticate(
    refreshToken: string,
    transport: Transport,
    pool?: pg.Pool,
  ): Promise<{ token: ParsedRefreshToken; stored: StoredSession; keySet: KeySet } | null> {
    const token = parseRefreshToken(refreshToken);
    const stored = token && (await this.sessionRepository.find(token.sessionId, pool));
    if (!token || stored?.session.transport !== transport) return null;
    const keySet = this.keySetOf(token, stored);
    return keySet ? { token, stored, keySet } : null;
  }

  /** @returns null for a token that was minted with neither keys */
  private keySetOf(token: ParsedRefreshToken, { nonce, superseded }: StoredSession): KeySet | null {
    if (this.isMinted(token, nonce)) return 'current';
    return superseded && this.isMinted(token, Buffer.from(superseded.nonce, 'base64')) ? 'superseded' : null;
  }

  private isMinted(token: ParsedRefreshToken, nonce: Buffer): boolean {
    return verifyRefreshToken(token, { secrets: this.keys.verifyingSecrets(this.clock.now()), nonce });
  }

  /**
   * Continues with a token of the superseded keys. The client lost the response with the new keys, or the token is a
   * copy. The session goes on, but the proof of identity that came with the change of keys is withdrawn, so that a
   * copy gains nothing.
   */
  private async resume(
    tx: RevocationTx,
    locked: LockedSession,
    token: RefreshPosition,
    presented: RefreshRequest & { proof: boolean },
  ): Promise<Outcome> {
    const { session, superseded, now } = locked;
    const { userId, id: sessionId } = session;
    const resumption = resume({ ...locked, superseded: superseded! }, token, {
      ...this.moment(locked),
      proof: presented.proof || this.isBound(locked),
    });
    // A client that proves the device key is no thief, so a token that is too late is refused without an end.
    const isTooLate = resumption === 'reuse' && this.isBound(locked);
    if (resumption === 'refuse' || isTooLate)
      return { problem: new Problem('auth.invalid_token'), result: 'refused' };
    if (resumption === 'superseded') return this.refusals.refuseSuperseded(locked);
    if (resumption === 'reuse') return this.refusals.endForReuse(tx, locked, token, presented);
    const { authenticatedAt, deviations } = superseded!;
    // If the change removed the last factor, the user has no factor left to prove again.
    const secondFactorAt = session.secondFactorAt === null ? null : superseded!.secondFactorAt;
    await resumeSupersededKeys(tx, { id: sessionId, authenticatedAt, secondFactorAt, deviations }, now);
    const details = { change: superseded!.change, after: now - superseded!.changedAt };
    const { context } = presented;
    await this.audit.record(tx, {
      type: 'authn_reauthentication_voided',
      userId,
      sessionId,
      context,
      details,
    });
    await this.revocationWriter.markStale(tx, userId, 'authenticated_at');
    const before = { ...locked, session: { ...session, authenticatedAt, secondFactorAt, deviations } };
    return this.issue(tx, before, resumption, presented);
  }

  private async issue(
    tx: RevocationTx,
    locked: LockedSession,
    rotation: Rotation,
    { context, deviceToken, proof }: RefreshRequest & { proof: boolean },
  ): Promise<Outcome> {
    const { response, ended } = await this.sessionRisk.respond(tx, locked, context);
    if (response === 'end') return { problem: endedForRisk(ended!), result: 'risk' };
    // A session that must reauthenticate may still refresh, because the user could not reauthenticate otherwise. But
    // its new request context is not saved as a familiar one.
    const moved = response === 'reauthenticate' ? null : context;
    const grant = await this.grant(tx, locked, rotation, {
      deviceToken: proof ? deviceToken! : undefined,
      moved,
    });
    return { grant: grant!, result: resultOf(rotation) };
  }

  /** @returns null when the session has ended or its rotation has changed since it was found; never under the lock */
  private async grant(
    tx: EntityManager | null,
    stored: StoredSession,
    { state, decision }: Rotation,
    { deviceToken, moved }: { deviceToken: string | undefined; moved: RequestContext | null },
  ): Promise<SessionGrant | null> {
    if (decision.outcome !== 'issue') throw new Problem('auth.invalid_token');
    const session = renewed(stored, moved);
    if (decision.rotated && !(await this.sessionRepository.saveRotation(tx, stored, state, moved)))
      return null;
    return {
      user: stored.owner,
      session,
      decidedAt: stored.now,
      refreshToken: this.sessions.mint(session.id, stored.nonce, decision.token, stored.now),
      deviceToken,
    };
  }
}

function resultOf({ decision }: Rotation): 'rotated' | 'repeated' {
  return decision.outcome === 'issue' && decision.rotated ? 'rotated' : 'repeated';
}
