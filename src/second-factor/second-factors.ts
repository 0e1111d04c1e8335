import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { PasskeysService } from '../passkeys/passkeys.service.js';
import { circumstances } from '../sessions/circumstances.js';
import { reauthenticationRequired } from '../sessions/session-check.js';
import { lacksSecondFactor, type SessionSnapshot } from '../sessions/session-snapshot.js';
import type { User } from '../users/user.entity.js';
import { RecoveryCodes } from './recovery-codes.service.js';
import { TotpFactors } from './totp-factors.js';
import { TOTP_CODE } from './totp.js';

/** How recent a proof has to be that changes factors; as on the routes. */
const FRESH_MS = 5 * 60_000;

/** What a person can prove themselves with besides the password. */
export const SECOND_FACTOR_METHODS = ['totp', 'recovery_code', 'passkey'] as const;
export type SecondFactorMethod = (typeof SECOND_FACTOR_METHODS)[number];

/** The second factors of people, whatever they are. Within the caller's transaction, under the user's lock. */
@Injectable()
export class SecondFactors {
  constructor(
    private readonly totp: TotpFactors,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly passkeys: PasskeysService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** What a login may be completed with; nothing for who has enrolled nothing. */
  async methodsOf(tx: EntityManager, userId: string): Promise<SecondFactorMethod[]> {
    if (!(await this.isEnrolled(tx, userId))) return [];
    const methods: SecondFactorMethod[] = ['totp'];
    if ((await this.recoveryCodes.count(tx, userId)) > 0) methods.push('recovery_code');
    if ((await this.passkeys.count(tx, userId)) > 0) methods.push('passkey');
    return methods;
  }

  /** Whether a login by password has to prove one. Who has but passkeys has another way in, and keeps the password as it was. */
  async isEnrolled(tx: EntityManager, userId: string): Promise<boolean> {
    return (await this.totp.addedAt(tx, userId)) !== null;
  }

  /** Passkeys included. */
  async hasAny(tx: EntityManager, userId: string): Promise<boolean> {
    return (await this.isEnrolled(tx, userId)) || (await this.passkeys.count(tx, userId)) > 0;
  }

  /**
   * Factors change by the factor. Two sessions may belong to a person with a factor and have proved none: the session of
   * an admin that still owes it, and a session that lost the answer to the enrolment of an app.
   * @throws Problem `auth.second_factor_required`, `auth.reauthentication_required`
   */
  async requireProof(tx: EntityManager, session: SessionSnapshot): Promise<void> {
    if (session.secondFactorAt !== null) return;
    if (lacksSecondFactor(session, this.settings) && (await this.hasAny(tx, session.userId)))
      throw new Problem('auth.second_factor_required');
    if (await this.isEnrolled(tx, session.userId))
      throw reauthenticationRequired(FRESH_MS, { bySecondFactor: true });
  }

  /** Uses up what was typed: a code of an app, or a recovery code. @returns what it was; null for a wrong or a used one */
  async useCode(
    tx: EntityManager,
    user: User,
    code: string,
    { origin, now }: { origin: Origin; now: Date },
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
      origin,
      details,
    });
    await this.mails.add(tx, email!, 'recovery_code_used', { left, ...circumstances(origin, now) }, now);
    return 'recovery_code';
  }

  /** Recovery codes complete a login by password: where that wants none any more, they go. @returns whether a factor is left */
  async voidIdleCodes(tx: EntityManager, userId: string): Promise<boolean> {
    if (!(await this.isEnrolled(tx, userId))) await this.recoveryCodes.void(tx, userId);
    return this.hasAny(tx, userId);
  }

  /** All of them, and the logins that wait for one. @returns whether there were any */
  async removeAll(tx: EntityManager, userId: string): Promise<boolean> {
    await tx.query('delete from login_challenges where user_id = $1', [userId]);
    const removed = await this.totp.remove(tx, userId);
    const passkeys = await this.passkeys.removeAll(tx, userId);
    await this.recoveryCodes.void(tx, userId);
    return removed || passkeys > 0;
  }
}
