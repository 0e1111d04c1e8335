import { Inject, Injectable } from '@nestjs/common';
import type { JWK } from 'jose';
import type pg from 'pg';
import { AuditService } from '../../platform/audit/audit.service.js';
import { invalidRequest, Problem } from '../../platform/api/problem.js';
import type { Principal, RequestContext } from '../../platform/http/request.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { MAIN_POOL } from '../../platform/persistence/database.module.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { tokenDenied } from '../check/session-check.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { mailContextOf } from '../mail-context.js';
import { DEVICE_KEY_REMOVED_MAIL } from '../mails.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { RevocationWriter, type RevocationTx } from '../revocation/revocation-writer.js';
import type { Transport } from '../session.entity.js';
import { SessionRepository } from '../session.repository.js';
import type { LockedSession, StoredSession } from '../stored-session.js';
import { BindingTokens } from './binding-tokens.js';
import { verifyDeviceProof } from './device-proof.js';
import { keyProofRequired } from './key-proof.js';
import { countProof, saveDeviceKey } from './session-binding.repository.js';
import { bindsSessions, carrierOf, holdsKey, type KeyProof, type SessionBinding } from './session-binding.js';

/** A browser registers within seconds. The next refresh offers a binding again. */
const OFFER_MS = 10 * 60_000;
/** A challenge outlives the bound cookie, so that a browser in use needs one request for each proof. */
const CHALLENGE_MS = 30 * 60_000;

/** A session that a browser has just bound, or whose key it has just proved. */
export interface BoundSession {
  session: SessionSnapshot & { binding: SessionBinding };
  /** By the database's clock, in milliseconds since the epoch. */
  decidedAt: number;
}

/** The answer to a browser that renews its bound cookie. */
export type Renewal =
  /** The session has ended, or is not bound any more. */
  | { outcome: 'ended' }
  /** The browser has to sign this challenge. */
  | { outcome: 'challenged'; challenge: string }
  | { outcome: 'renewed'; bound: BoundSession; challenge: string }
  /** The signature is not one of the session's key. */
  | { outcome: 'refused' };

/** The proofs of a step-up. */
interface StepUpProof {
  keyProof: KeyProof | null;
  by: 'password' | 'second_factor';
  context: RequestContext;
}

/** Binds sessions to the keys of their devices, see `session-binding.ts`. */
@Injectable()
export class SessionBindings {
  constructor(
    private readonly sessionRepository: SessionRepository,
    private readonly revocations: RevocationService,
    private readonly revocationWriter: RevocationWriter,
    private readonly tokens: BindingTokens,
    private readonly audit: AuditService,
    private readonly mails: MailOutbox,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(MAIN_POOL) private readonly pool: pg.Pool,
  ) {}

  /** The key to which a login or step-up binds a session; null for none. A browser binds its session later, see `bind`. */
  keyToBind(transport: Transport, proof: KeyProof | null): JWK | null {
    const isForBearer = proof?.carrier === 'dpop' && transport === 'bearer';
    return isForBearer && bindsSessions(this.settings) ? proof.key : null;
  }

  /** The challenge with which a browser may bind this session; null if it should not. */
  offerFor({ id, transport, binding, keyVersion }: SessionSnapshot): string | null {
    if (transport !== 'cookie' || binding !== null || !bindsSessions(this.settings)) return null;
    const expiresAt = this.clock.now() + OFFER_MS;
    return this.tokens.mint('bindingOffer', { sessionId: id, number: keyVersion, expiresAt });
  }

  /**
   * Binds the session of a browser to a new key. The access token of the request is denied on every tier, because a copy of
   * it works without the key.
   *
   * @param proof the `Secure-Session-Response` header
   * @throws Problem `request.invalid` when the proof does not fit an offer for this session
   * @throws Problem `resource.conflict` when the session has a key already
   * @throws Problem `auth.session_ended`, `auth.token_expired`
   */
  async bind(principal: Principal, proof: string, context: RequestContext): Promise<BoundSession> {
    const { sessionId, userId, tokenId, keyVersion } = principal;
    const verified = await verifyDeviceProof(proof, null);
    const offer = verified && this.tokens.open('bindingOffer', verified.challenge);
    if (!verified || offer?.sessionId !== sessionId || offer.number !== keyVersion) throw unusableProof();
    if (!bindsSessions(this.settings)) throw new Problem('resource.conflict');
    return this.revocations.commit(userId, async (tx) => {
      const locked = await this.sessionRepository.lockLive(tx, userId, sessionId);
      if (locked.session.keyVersion !== keyVersion) throw tokenDenied();
      if (locked.session.binding !== null) throw new Problem('resource.conflict', { detail: BOUND_ALREADY });
      const { binding } = await this.change(tx, locked, verified.key, context);
      await this.revocationWriter.denyToken(tx, tokenId, { reason: 'bound', actorId: userId, context });
      return { session: { ...locked.session, binding: binding! }, decidedAt: locked.now };
    });
  }

  /**
   * Renews the bound cookie of a browser that proves the key of its session.
   *
   * @param proof the `Secure-Session-Response` header; null asks for a challenge
   */
  async renew(sessionId: string, proof: string | null): Promise<Renewal> {
    const stored = await this.sessionRepository.find(sessionId);
    if (!stored || !this.isBoundBrowser(stored) || this.sessionRepository.endedState(stored))
      return { outcome: 'ended' };
    const { session, deviceKey, keyProofs, now: decidedAt } = stored;
    const binding = session.binding!;
    const challenge = (number: number) => {
      const expiresAt = this.clock.now() + CHALLENGE_MS;
      return this.tokens.mint('bindingChallenge', { sessionId, number, expiresAt });
    };
    if (proof === null) return { outcome: 'challenged', challenge: challenge(keyProofs) };
    const verified = await verifyDeviceProof(proof, deviceKey);
    if (!verified) return { outcome: 'refused' };
    const signed = this.tokens.open('bindingChallenge', verified.challenge);
    if (signed?.sessionId !== sessionId || signed.number !== keyProofs)
      return { outcome: 'challenged', challenge: challenge(keyProofs) };
    // Counts each challenge once. Another proof was faster if this returns false: the browser then gets a new challenge.
    if (!(await countProof(this.pool, sessionId, keyProofs, binding.version)))
      return this.renew(sessionId, null);
    const bound = { session: { ...session, binding }, decidedAt };
    return { outcome: 'renewed', bound, challenge: challenge(keyProofs + 1) };
  }

  /**
   * Decides about the key of a session whose user has just proved their identity. A device that proves the session's key
   * keeps it. A device that has lost it removes it, and a key that a DPoP proof shows takes its place; the user gets a mail
   * about it. A session without a key is bound to such a key.
   *
   * @throws Problem `auth.reauthentication_required` when the key is lost and the proof of identity is weaker than that of
   * the login: otherwise a copy of the session, with a password, would need no second factor
   */
  async afterStepUp(
    tx: RevocationTx,
    locked: LockedSession,
    { keyProof, by, context }: StepUpProof,
  ): Promise<{ binding: SessionBinding | null; bindingVersion: number }> {
    const { session, bindingVersion } = locked;
    const { binding } = session;
    const isProven = holdsKey(locked, keyProof, this.settings);
    if (!isProven && by === 'password' && session.secondFactorAt !== null)
      throw keyProofRequired({ bySecondFactor: true });
    const newKey = this.keyToBind(session.transport, keyProof);
    const staysAsItIs = binding === null ? newKey === null : isProven;
    if (staysAsItIs) return { binding, bindingVersion };
    return this.change(tx, locked, newKey, context);
  }

  private async change(
    tx: RevocationTx,
    { user, session, bindingVersion: before, now }: LockedSession,
    key: JWK | null,
    context: RequestContext,
  ): Promise<{ binding: SessionBinding | null; bindingVersion: number }> {
    const bindingVersion = before + 1;
    await saveDeviceKey(tx, session, key, now);
    const { userId, id: sessionId, transport } = session;
    await this.audit.record(tx, {
      type: key ? 'session_bound' : 'session_unbound',
      userId,
      sessionId,
      context,
      details: { carrier: carrierOf(transport), replaced: key !== null && session.binding !== null },
    });
    if (session.binding !== null) {
      const at = new Date(now);
      await this.mails.add(tx, user.email!, DEVICE_KEY_REMOVED_MAIL, mailContextOf(context, at), { now: at });
    }
    return { binding: key && { version: bindingVersion, boundAt: now }, bindingVersion };
  }

  private isBoundBrowser({ session: { transport, binding } }: StoredSession): boolean {
    return transport === 'cookie' && binding !== null && bindsSessions(this.settings);
  }
}

const BOUND_ALREADY = 'The session is bound to a device key already.';

function unusableProof(): Problem {
  return invalidRequest([
    { path: 'Secure-Session-Response', message: 'must be a signed challenge of this session' },
  ]);
}
