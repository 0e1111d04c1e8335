import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import type { Origin } from '../common/request.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { circumstances } from '../sessions/circumstances.js';
import type { User } from '../users/user.entity.js';
import { RecoveryCodes } from './recovery-codes.service.js';
import { TotpFactors } from './totp-factors.js';
import { TOTP_CODE } from './totp.js';

/** What a person can prove themselves with besides the password. */
export const SECOND_FACTOR_METHODS = ['totp', 'recovery_code'] as const;
export type SecondFactorMethod = (typeof SECOND_FACTOR_METHODS)[number];

/** The second factors of people, whatever they are. Within the caller's transaction, under the user's lock. */
@Injectable()
export class SecondFactors {
  constructor(
    private readonly totp: TotpFactors,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
  ) {}

  /** What a login may be completed with; nothing for who has enrolled nothing. */
  async methodsOf(tx: EntityManager, userId: string): Promise<SecondFactorMethod[]> {
    if (!(await this.isEnrolled(tx, userId))) return [];
    const left = await this.recoveryCodes.count(tx, userId);
    return left > 0 ? ['totp', 'recovery_code'] : ['totp'];
  }

  /** Whether a login has to prove one. */
  async isEnrolled(tx: EntityManager, userId: string): Promise<boolean> {
    return (await this.totp.addedAt(tx, userId)) !== null;
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

  /** Recovery codes stand in for a factor: with the last one they go. @returns whether there is one left */
  async voidIdleCodes(tx: EntityManager, userId: string): Promise<boolean> {
    const left = await this.isEnrolled(tx, userId);
    if (!left) await this.recoveryCodes.void(tx, userId);
    return left;
  }

  /** All of them, and the logins that wait for one. @returns whether there were any */
  async removeAll(tx: EntityManager, userId: string): Promise<boolean> {
    await tx.query('delete from login_challenges where user_id = $1', [userId]);
    const removed = await this.totp.remove(tx, userId);
    await this.recoveryCodes.void(tx, userId);
    return removed;
  }
}
