import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { LOGGER, type Logger } from '../common/logger.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import { relyingPartyOf, type RelyingParty } from '../config/relying-party.js';
import type { Settings } from '../config/settings.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { challengeIn, Disbelieved, verifyAssertion, type Assertion } from '../passkeys/ceremonies.js';
import { userHandleOf } from '../passkeys/ceremony-options.js';
import type { PasskeyAssertion } from '../passkeys/ceremony.schemas.js';
import { PasskeyChallenges, type Challenge, type ChallengePurpose } from '../passkeys/passkey-challenges.js';
import { PasskeysService, type Passkey } from '../passkeys/passkeys.service.js';
import { circumstances } from '../sessions/circumstances.js';
import { PendingActions } from '../sessions/pending-actions.service.js';
import type { User } from '../users/user.entity.js';

/** A signature that is right. What may have changed meanwhile is judged by {@link PasskeyProofs.use}. */
export interface PasskeyProof {
  proven: true;
  passkey: Passkey;
  challenge: Challenge;
  /** Which session it was issued to; null for a login. */
  sessionId: string | null;
  assertion: Assertion;
}

export interface Unproven {
  proven: false;
  /** Where it is known whose passkey was named. */
  userId?: string;
}

/** For what a challenge was issued, and to whom. */
interface Asked {
  purpose: ChallengePurpose;
  holder: string;
  /** Only a passkey of this person will do. */
  owner?: string;
}

/** Whether somebody holds a passkey: looked at first, and used up in the transaction of what it is for. */
@Injectable()
export class PasskeyProofs {
  private readonly site: RelyingParty;

  constructor(
    private readonly passkeys: PasskeysService,
    private readonly challenges: PasskeyChallenges,
    private readonly pending: PendingActions,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(SETTINGS_TOKEN) settings: Settings,
  ) {
    this.site = relyingPartyOf(settings);
  }

  async examine(
    answer: PasskeyAssertion,
    { purpose, holder, owner }: Asked,
  ): Promise<PasskeyProof | Unproven> {
    const signed = await challengeIn(answer);
    const challenge = signed && this.challenges.read(signed, purpose, holder);
    if (!challenge) return { proven: false };
    const passkey = await this.passkeys.byCredential(Buffer.from(answer.id, 'base64url'));
    if (!passkey || !isOf(answer, passkey, owner)) return { proven: false, userId: passkey?.userId };
    const assertion = await verifyAssertion(answer, signed, this.site, passkey);
    const sessionId = purpose === 'login' ? null : holder;
    if (!(assertion instanceof Disbelieved))
      return { proven: true, passkey, challenge, sessionId, assertion };
    this.logger.debug({ err: assertion, passkey: passkey.id }, 'the answer of a passkey is not believed');
    return { proven: false, userId: passkey.userId };
  }

  /**
   * Under the user's lock, in a transaction that commits whatever the answer is.
   * @returns false when it is not good any more: it was used, took too long, was asked for before a revocation, its passkey is
   * gone, or there are two of that
   */
  async use(
    tx: EntityManager,
    user: User,
    { passkey, challenge, sessionId, assertion }: PasskeyProof,
    { origin, now }: { origin: Origin; now: Date },
  ): Promise<boolean> {
    const action = { userId: user.id, sessionId, requestedAt: challenge.issuedAt };
    if (!(await this.pending.isAuthorized(tx, action))) return false;
    if (!(await this.challenges.use(tx, challenge))) return false;
    if (await this.passkeys.use(tx, passkey.id, assertion, now)) return true;
    const stored = await this.passkeys.byCredential(passkey.credentialId, tx);
    if (stored?.id !== passkey.id) return false;
    if (isOvertaken(stored, challenge, assertion)) return false;
    await this.audit.record(tx, {
      type: 'authn_passkey_cloned',
      userId: user.id,
      origin,
      details: { passkey: stored.id, expectedAbove: stored.signCount, presented: assertion.signCount },
    });
    const told = { name: stored.name, ...circumstances(origin, now) };
    await this.mails.add(tx, user.email!, 'passkey_cloned', told, now);
    return false;
  }
}

/**
 * Whether an answer may have been signed before the last one that was taken, and have arrived after it. WebAuthn 7.2 names
 * this race beside copies as a reason why a counter falls behind, so it is refused without an alarm. No two answers of
 * one authenticator show the same count.
 */
function isOvertaken(stored: Passkey, { issuedAt }: Challenge, { signCount }: Assertion): boolean {
  return (
    signCount > 0 &&
    signCount < stored.signCount &&
    stored.lastUsedAt !== null &&
    issuedAt < stored.lastUsedAt
  );
}

/** An authenticator that was asked for no passkey in particular has to say whose it is (WebAuthn 7.2, step 6). */
function isOf({ response }: PasskeyAssertion, { userId }: Passkey, owner: string | undefined): boolean {
  const named = response.userHandle ?? null;
  if (owner === undefined) return named === userHandleOf(userId);
  return owner === userId && (named === null || named === userHandleOf(userId));
}
