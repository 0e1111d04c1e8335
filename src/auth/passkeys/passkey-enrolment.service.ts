import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { invalidRequest, Problem } from '../../platform/api/problem.js';
import { random } from '../../platform/runtime/random.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { relyingPartyOf, type RelyingParty } from '../../platform/settings/relying-party.js';
import { Settings } from '../../platform/settings/settings.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import {
  challengeFrom,
  VerificationFailed,
  verifyAttestation,
  type Credential,
} from './webauthn/webauthn.js';
import { creationOptions } from './webauthn/webauthn-options.js';
import type { PasskeyAttestation, PasskeyCreationOptions } from './webauthn/webauthn.schemas.js';
import { PasskeyChallenges } from './passkey-challenges.js';
import { passkeyChange } from './passkey-management.service.js';
import { PasskeyRepository, type Passkey } from './passkey.repository.js';
import { SecondFactors } from '../mfa/second-factors.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { describeUserAgent } from '../../sessions/devices/device-recognition.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { CredentialChangeService } from '../../sessions/refresh/credential-change.service.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { UserRepository } from '../../users/user.repository.js';
import { PASSKEY_ADDED_MAIL } from './mails.js';
import type { PasskeyEnrolment } from './passkey.schemas.js';

/**
 * Maximum number of passkeys of a user, more than a user has devices. All of them are sent to the authenticator when
 * another one is created.
 */
const MAX_PASSKEYS = 20;

/** Adds passkeys to an account. A new one ends every other session, as a change of second factors does. */
@Injectable()
export class PasskeyEnrolmentService {
  private readonly site: RelyingParty;

  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly passkeys: PasskeyRepository,
    private readonly challenges: PasskeyChallenges,
    private readonly factors: SecondFactors,
    private readonly credentialChange: CredentialChangeService,
    private readonly pending: PendingActions,
    private readonly mails: MailOutbox,
    @Inject(LOGGER) private readonly logger: Logger,
    settings: Settings,
  ) {
    this.site = relyingPartyOf(settings);
  }

  /**
   * Starts the enrolment of a passkey.
   * @throws Problem `resource.conflict` if the user has the maximum number of passkeys
   * @throws Problem `auth.second_factor_required`
   */
  async begin(session: SessionSnapshot): Promise<PasskeyCreationOptions> {
    const { manager: tx } = this.database;
    const user = await this.users.find(session.userId);
    if (!user?.email) throw new Problem('auth.invalid_token');
    await this.factors.requireProof(tx, session);
    const existing = await this.requireRoom(tx, user.id);
    const challenge = await this.challenges.issue(tx, 'enrol', session.id);
    return creationOptions(this.site, challenge, { ...user, email: user.email }, existing);
  }

  /**
   * Stores a new passkey and ends every other session. This session counts as verified by a second factor, because
   * the authenticator has verified the user. If a client loses the answer, it may send the same request again: it
   * gets the passkey, and nothing changes.
   * @throws Problem `request.invalid` if the answer of the authenticator cannot be verified
   * @throws Problem `resource.conflict`, `auth.session_ended`, `auth.second_factor_required`
   */
  async add(
    principal: Principal,
    { response, name }: PasskeyEnrolment,
    context: RequestContext,
  ): Promise<{ passkey: Passkey; grant: SessionGrant | null }> {
    const { userId, sessionId } = principal;
    const signed = await challengeFrom(response);
    const challenge = signed && this.challenges.read(signed, 'enrol', sessionId);
    if (!challenge)
      throw unexpected('does not answer a challenge of this session, or the challenge has expired');
    const credential = await this.believe(response, signed);
    const passkey: Omit<Passkey, 'createdAt'> = {
      ...credential,
      id: random.uuid(),
      userId,
      name: name ?? describeUserAgent(context.userAgent).name,
      lastUsedAt: null,
    };
    let added: Passkey | undefined;
    const rekeyed = await this.credentialChange.run(principal, {
      cause: passkeyChange('authn_passkey_added', passkey.id, { actorId: userId, context }),
      recheck: async (_, tx) => {
        const enrolment = { userId, sessionId, requestedAt: challenge.issuedAt };
        const isAuthorized = await this.pending.isAuthorized(tx, enrolment);
        if (isAuthorized && (await this.challenges.use(tx, challenge))) return true;
        added = await this.addedBefore(tx, passkey);
        if (!added)
          throw unexpected('does not answer a challenge of this session, or the challenge has expired');
        return false;
      },
      act: async (tx, { email }, now, session) => {
        added = { ...passkey, createdAt: now };
        await this.factors.requireProof(tx, session);
        await this.requireRoom(tx, userId);
        if (!(await this.passkeys.add(tx, added)))
          throw new Problem('resource.conflict', { detail: 'This passkey is already enrolled.' });
        await this.mails.add(tx, email!, PASSKEY_ADDED_MAIL, {
          name: passkey.name,
          ...mailContextOf(context, now),
        });
        return { authenticatedAt: now.getTime(), secondFactorAt: now.getTime() };
      },
    });
    return { passkey: added!, grant: rekeyed?.grant ?? null };
  }

  private async addedBefore(
    tx: EntityManager,
    { userId, credentialId, publicKey }: Omit<Passkey, 'createdAt'>,
  ): Promise<Passkey | undefined> {
    const stored = await this.passkeys.byCredential(credentialId, tx);
    const isTheSame = stored?.userId === userId && stored.publicKey.equals(publicKey);
    return isTheSame ? stored : undefined;
  }

  private async requireRoom(tx: EntityManager, userId: string): Promise<Passkey[]> {
    const existing = await this.passkeys.of(userId, tx);
    if (existing.length >= MAX_PASSKEYS)
      throw new Problem('resource.conflict', {
        detail: `This account already has ${MAX_PASSKEYS} passkeys. Remove one first.`,
      });
    return existing;
  }

  private async believe(response: PasskeyAttestation, challenge: string): Promise<Credential> {
    const credential = await verifyAttestation(response, challenge, this.site);
    if (!(credential instanceof VerificationFailed)) return credential;
    this.logger.debug({ err: credential }, 'a new passkey could not be verified');
    throw unexpected(
      'is not a valid response of an authenticator that has verified the user on a page of this service',
    );
  }
}

function unexpected(message: string): Problem {
  return invalidRequest([{ path: 'response', message }]);
}
