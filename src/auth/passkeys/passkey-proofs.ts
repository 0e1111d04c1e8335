import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import type { RequestContext } from '../../platform/http/request.js';
import { relyingPartyOf, type RelyingParty } from '../../platform/settings/relying-party.js';
import { Settings } from '../../platform/settings/settings.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { challengeFrom, VerificationFailed, verifyAssertion, type Assertion } from './webauthn/webauthn.js';
import { userHandleOf } from './webauthn/webauthn-options.js';
import type { PasskeyAssertion } from './webauthn/webauthn.schemas.js';
import { PasskeyChallenges, type Challenge, type ChallengePurpose } from './passkey-challenges.js';
import { PasskeyRepository, type Passkey } from './passkey.repository.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import type { User } from '../../users/user.entity.js';
import { PASSKEY_CLONED_MAIL } from './mails.js';

/** A valid signature. {@link PasskeyVerifier.consume} checks the state that may have changed since. */
export interface PasskeyProof {
  proven: true;
  passkey: Passkey;
  challenge: Challenge;
  /** The session for which the challenge was issued; null for a login. */
  sessionId: string | null;
  assertion: Assertion;
}

export interface PasskeyFailure {
  proven: false;
  /** The owner of the named passkey, if known. */
  userId?: string;
}

/** The purpose and the holder of the expected challenge. */
interface Asked {
  purpose: ChallengePurpose;
  holder: string;
  /** Only a passkey of this user is accepted. */
  owner?: string;
}

/**
 * Verifies passkey assertions. `examine` checks the signature first; `use` consumes the challenge in the transaction
 * of the action.
 */
@Injectable()
export class PasskeyVerifier {
  private readonly site: RelyingParty;

  constructor(
    private readonly passkeys: PasskeyRepository,
    private readonly challenges: PasskeyChallenges,
    private readonly pending: PendingActions,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    @Inject(LOGGER) private readonly logger: Logger,
    settings: Settings,
  ) {
    this.site = relyingPartyOf(settings);
  }

  /**
   * Verifies the signature of an assertion. It changes nothing.
   * @param holder of the challenge: the challenge token of a login, or a session
   */
  async verify(
    answer: PasskeyAssertion,
    { purpose, holder, owner }: Asked,
  ): Promise<PasskeyProof | PasskeyFailure> {
    const signed = await challengeFrom(answer);
    const challenge = signed && this.challenges.read(signed, purpose, holder);
    if (!challenge) return { proven: false };
    const passkey = await this.passkeys.byCredential(Buffer.from(answer.id, 'base64url'));
    if (!passkey || !isOf(answer, passkey, owner)) return { proven: false, userId: passkey?.userId };
    const assertion = await verifyAssertion(answer, signed, this.site, passkey);
    const sessionId = purpose === 'login' ? null : holder;
    if (!(assertion instanceof VerificationFailed))
      return { proven: true, passkey, challenge, sessionId, assertion };
    this.logger.debug(
      { err: assertion, passkey: passkey.id },
      'the answer of a passkey could not be verified',
    );
    return { proven: false, userId: passkey.userId };
  }

  /**
   * Consumes the challenge. Call it under the user's lock, in a transaction that commits regardless of the result.
   * @returns false if the challenge was used, has expired or was requested before a revocation. Also false if the
   *   passkey is gone, or if the signature counter indicates a copy of it.
   */
  async consume(
    tx: EntityManager,
    user: User,
    { passkey, challenge, sessionId, assertion }: PasskeyProof,
    { context, now }: { context: RequestContext; now: Date },
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
      context,
      details: { passkey: stored.id, expectedAbove: stored.signCount, presented: assertion.signCount },
    });
    const told = { name: stored.name, ...mailContextOf(context, now) };
    await this.mails.add(tx, user.email!, PASSKEY_CLONED_MAIL, told, { now });
    return false;
  }
}

/**
 * Whether an answer may have been signed before the last accepted one and arrived after it. Besides copies, WebAuthn
 * 7.2 names this race as a reason for a lower counter, so the answer is refused without an alarm. One authenticator
 * never shows the same count twice.
 */
function isOvertaken(stored: Passkey, { issuedAt }: Challenge, { signCount }: Assertion): boolean {
  return (
    signCount > 0 &&
    signCount < stored.signCount &&
    stored.lastUsedAt !== null &&
    issuedAt < stored.lastUsedAt
  );
}

/**
 * Whether the answer names the owner of the passkey. If the options named no passkeys, the answer must contain a user
 * handle (WebAuthn 7.2, step 6).
 */
function isOf({ response }: PasskeyAssertion, { userId }: Passkey, owner: string | undefined): boolean {
  const named = response.userHandle ?? null;
  if (owner === undefined) return named === userHandleOf(userId);
  return owner === userId && (named === null || named === userHandleOf(userId));
}
