import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { PasskeyRepository } from '../passkeys/passkey.repository.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { reauthenticationRequired } from '../../sessions/check/session-check.js';
import { lacksSecondFactor, type SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import type { User } from '../../users/user.entity.js';
import { LoginChallengeRepository } from './login-challenge.repository.js';
import { RecoveryCodeRepository } from './recovery-code.repository.js';
import { TotpFactors } from './totp/totp-factors.js';
import { TOTP_CODE } from './totp/totp.js';
import { RECOVERY_CODE_USED_MAIL } from './mails.js';

/** The maximum age of a proof that changes factors; the same as on the routes. */
const FRESH_MS = 5 * 60_000;

/** The methods by which a user can prove their identity besides the password. */
export const SECOND_FACTOR_METHODS = ['totp', 'recovery_code', 'passkey'] as const;
export type SecondFactorMethod = (typeof SECOND_FACTOR_METHODS)[number];

/** The second factors of a user, of all kinds. All methods run in the caller's transaction, under the user's lock. */
@Injectable()
export class SecondFactors {
  constructor(
    private readonly totp: TotpFactors,
    private readonly challenges: LoginChallengeRepository,
    private readonly recoveryCodes: RecoveryCodeRepository,
    private readonly passkeys: PasskeyRepository,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly settings: Settings,
  ) {}

  /** The methods that can complete a login; empty if the user has enrolled no factor. */
  async methodsOf(tx: EntityManager, userId: string): Promise<SecondFactorMethod[]> {
    if (!(await this.isEnrolled(tx, userId))) return [];
    const methods: SecondFactorMethod[] = ['totp'];
    if ((await this.recoveryCodes.count(tx, userId)) > 0) methods.push('recovery_code');
    if ((await this.passkeys.count(tx, userId)) > 0) methods.push('passkey');
    return methods;
  }

  /**
   * Whether a login by password needs a second factor. For a user with passkeys only, a passkey is another way to log
   * in, and the password works as before.
   */
  async isEnrolled(tx: EntityManager, userId: string): Promise<boolean> {
    return (await this.totp.addedAt(tx, userId)) !== null;
  }

  /** Same as {@link isEnrolled}, but passkeys count as well. */
  async hasAny(tx: EntityManager, userId: string): Promise<boolean> {
    return (await this.isEnrolled(tx, userId)) || (await this.passkeys.count(tx, userId)) > 0;
  }

  /**
   * A change of factors needs a proof of a factor. In two cases a session may have proved none although the user has
   * a factor:
   * - the session of a user with a privileged role that still owes the factor
   * - a session that lost the response to the enrolment of an app
   *
   * @throws Problem `auth.second_factor_required`, `auth.reauthentication_required`
   */
  async requireProof(tx: EntityManager, session: SessionSnapshot): Promise<void> {
    if (session.secondFactorAt !== null) return;
    if (lacksSecondFactor(session, this.settings) && (await this.hasAny(tx, session.userId)))
      throw new Problem('auth.second_factor_required');
    if (await this.isEnrolled(tx, session.userId))
      throw reauthenticationRequired(FRESH_MS, { bySecondFactor: true });
  }

  /**
   * Uses up a code of an authenticator app, or a recovery code.
   *
   * @returns the method of the code; null when the code is wrong or was used before
   */
  async useCode(
    tx: EntityManager,
    user: User,
    code: string,
    { context, now }: { context: RequestContext; now: Date },
  ): Promise<SecondFactorMethod | null> {
    const typed = code.replace(/\s/g, '');
    if (TOTP_CODE.test(typed)) return (await this.totp.use(tx, user.id, typed, now)) ? 'totp' : null;
    if (!(await this.recoveryCodes.use(tx, user.id, typed))) return null;
    const left = await this.recoveryCodes.count(tx, user.id);
    const { id: userId, email } = user;
    const details = { left };
    await this.audit.record(tx, {
      type: 'authn_recovery_code_used',
      actorId: userId,
      userId,
      context,
      details,
    });
    const told = { left, ...mailContextOf(context, now) };
    await this.mails.add(tx, email!, RECOVERY_CODE_USED_MAIL, told, { now });
    return 'recovery_code';
  }

  /**
   * Recovery codes complete a login by password. If such a login needs no second factor any more, the codes are
   * removed.
   *
   * @returns whether the user still has a factor
   */
  async voidIdleCodes(tx: EntityManager, userId: string): Promise<boolean> {
    if (!(await this.isEnrolled(tx, userId))) await this.recoveryCodes.void(tx, userId);
    return this.hasAny(tx, userId);
  }

  /**
   * Removes all factors, and the logins that wait for one.
   *
   * @returns whether there were any factors
   */
  async removeAll(tx: EntityManager, userId: string): Promise<boolean> {
    await this.challenges.deleteOf(tx, userId);
    const removed = await this.totp.remove(tx, userId);
    const passkeys = await this.passkeys.removeAll(tx, userId);
    await this.recoveryCodes.void(tx, userId);
    return removed || passkeys > 0;
  }
}
