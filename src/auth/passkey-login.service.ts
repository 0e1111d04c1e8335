import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import { random } from '../common/random.js';
import type { Origin, Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import { relyingPartyOf, type RelyingParty } from '../config/relying-party.js';
import type { Settings } from '../config/settings.js';
import { requestOptions } from '../passkeys/ceremony-options.js';
import type { PasskeyAssertion, PasskeyRequestOptions } from '../passkeys/ceremony.schemas.js';
import { PasskeyChallenges } from '../passkeys/passkey-challenges.js';
import { PasskeysService } from '../passkeys/passkeys.service.js';
import type { SessionGrant } from '../sessions/sessions.service.js';
import { StepUp } from '../sessions/step-up.service.js';
import { Guesses } from '../throttle/guesses.js';
import { WrongSignatures } from '../throttle/wrong-signatures.js';
import type { Credentials } from './credentials.js';
import { Entrance } from './entrance.service.js';
import { PasskeyProofs } from './passkey-proofs.js';
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
    private readonly passkeys: PasskeysService,
    private readonly challenges: PasskeyChallenges,
    private readonly proofs: PasskeyProofs,
    private readonly entrance: Entrance,
    private readonly stepUps: StepUp,
    private readonly guesses: Guesses,
    private readonly wrongSignatures: WrongSignatures,
    private readonly audit: AuditService,
    @Inject(SETTINGS_TOKEN) settings: Settings,
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
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const asked = { purpose: 'login', holder: challengeToken } as const;
    const proof = await this.wrongSignatures.prove(origin, () => this.proofs.examine(response, asked));
    if (!proof.proven) return this.refuse(origin, proof.userId);
    const { userId } = proof.passkey;
    const { deviceToken } = presented;
    const opening = { userId, transport, deviceToken, deviceName, origin, secondFactor: 'passkey' };
    const grant = await this.entrance.open(opening, presented, (user, tx, now) =>
      this.proofs.use(tx, user, proof, { origin, now }),
    );
    return grant ?? this.refuse(origin, userId);
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
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const asked = { purpose: 'step_up', holder: sessionId, owner: userId } as const;
    const proof = await this.guesses.prove(
      { secret: 'passkey', account: userId, known: sessionId, origin },
      () => this.proofs.examine(answer, asked),
    );
    if (!proof.proven) return this.refuse(origin, userId, sessionId);
    const grant = await this.stepUps.renew(principal, presented.deviceToken, origin, {
      by: 'second_factor',
      stillProven: (user, tx, now) => this.proofs.use(tx, user, proof, { origin, now }),
    });
    return grant ?? this.refuse(origin, userId, sessionId);
  }

  /** Answers every failure in the same way. */
  private async refuse(origin: Origin, userId?: string, sessionId?: string): Promise<never> {
    await this.audit.record(this.database.manager, {
      type: 'authn_login_fail',
      userId,
      sessionId,
      origin,
      details: { by: 'passkey' },
    });
    throw new Problem('auth.invalid_credentials', { detail: REFUSED });
  }
}

const REFUSED = 'This passkey is not accepted, or its answer came too late. Try again.';
