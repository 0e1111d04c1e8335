import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import { random } from '../../platform/runtime/random.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { relyingPartyOf, type RelyingParty } from '../../platform/settings/relying-party.js';
import { Settings } from '../../platform/settings/settings.js';
import { requestOptions } from './webauthn/webauthn-options.js';
import type { PasskeyAssertion, PasskeyRequestOptions } from './webauthn/webauthn.schemas.js';
import { PasskeyChallenges } from './passkey-challenges.js';
import { PasskeyRepository } from './passkey.repository.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { StepUpService } from '../../sessions/refresh/step-up.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { WrongSignatures } from '../../platform/throttling/attempts/wrong-signatures.js';
import type { Credentials } from '../guards/credentials.js';
import { SessionIssuer } from '../login/session-issuer.service.js';
import { PasskeyVerifier } from './passkey-proofs.js';
import type { PasskeyLogin, PasskeyLoginOptions } from './passkey.schemas.js';

/**
 * Login and step-up with a passkey alone. The authenticator has verified the user, so a passkey counts as two
 * factors.
 */
@Injectable()
export class PasskeyLoginService {
  private readonly site: RelyingParty;

  constructor(
    private readonly database: DataSource,
    private readonly passkeys: PasskeyRepository,
    private readonly challenges: PasskeyChallenges,
    private readonly passkeyVerifier: PasskeyVerifier,
    private readonly sessionIssuer: SessionIssuer,
    private readonly stepUpService: StepUpService,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly wrongSignatures: WrongSignatures,
    private readonly audit: AuditService,
    settings: Settings,
  ) {
    this.site = relyingPartyOf(settings);
  }

  /**
   * The challenge token is only for this client: an attacker who obtains an answer of the authenticator cannot use it
   * without the token.
   */
  async loginOptions(): Promise<PasskeyLoginOptions> {
    const challengeToken = random.secret();
    const challenge = await this.challenges.issue(this.database.manager, 'login', challengeToken);
    return { ...requestOptions(this.site, challenge), challengeToken };
  }

  /**
   * @throws Problem `auth.invalid_credentials`, also for a banned user or an unverified address
   * @throws Problem `request.rate_limited`
   */
  async login(
    { challengeToken, response, transport, deviceName }: PasskeyLogin,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant> {
    const asked = { purpose: 'login', holder: challengeToken } as const;
    const proof = await this.wrongSignatures.prove(context, () =>
      this.passkeyVerifier.verify(response, asked),
    );
    if (!proof.proven) return this.refuse(context, proof.userId);
    const { userId } = proof.passkey;
    const { deviceToken } = credentials;
    const opening = { userId, transport, deviceToken, deviceName, context, secondFactor: 'passkey' };
    const grant = await this.sessionIssuer.issue(opening, credentials, (user, tx, now) =>
      this.passkeyVerifier.consume(tx, user, proof, { context, now }),
    );
    return grant ?? this.refuse(context, userId);
  }

  /** Options for a step-up, bound to this session and limited to the user's passkeys. */
  async stepUpOptions({ userId, sessionId }: Principal): Promise<PasskeyRequestOptions> {
    const challenge = await this.challenges.issue(this.database.manager, 'step_up', sessionId);
    return requestOptions(this.site, challenge, await this.passkeys.of(userId));
  }

  /**
   * Makes the session fresh again, with new tokens and a verified second factor.
   * @throws Problem `auth.invalid_credentials`, `auth.session_ended`, `request.rate_limited`
   */
  async stepUp(
    principal: Principal,
    answer: PasskeyAssertion,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const asked = { purpose: 'step_up', holder: sessionId, owner: userId } as const;
    const proof = await this.attemptLimiter.prove(
      { secret: 'passkey', account: userId, known: sessionId, context },
      () => this.passkeyVerifier.verify(answer, asked),
    );
    if (!proof.proven) return this.refuse(context, userId, sessionId);
    const grant = await this.stepUpService.rotateKeys(principal, credentials, context, {
      by: 'second_factor',
      recheck: (user, tx, now) => this.passkeyVerifier.consume(tx, user, proof, { context, now }),
    });
    return grant ?? this.refuse(context, userId, sessionId);
  }

  /** Answers every failure in the same way. */
  private async refuse(context: RequestContext, userId?: string, sessionId?: string): Promise<never> {
    await this.audit.record(this.database.manager, {
      type: 'authn_login_fail',
      userId,
      sessionId,
      context,
      details: { by: 'passkey' },
    });
    throw new Problem('auth.invalid_credentials', { detail: REFUSED });
  }
}

const REFUSED = 'This passkey is not accepted, or its answer came too late. Try again.';
