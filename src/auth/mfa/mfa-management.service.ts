import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { PasskeyRepository } from '../passkeys/passkey.repository.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { CredentialChangeService } from '../../sessions/refresh/credential-change.service.js';
import { SessionFence } from '../../sessions/session-fence.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import { RecoveryCodeRepository } from './recovery-code.repository.js';
import { SecondFactors } from './second-factors.js';
import { TotpFactors, type Confirmation, type TotpEnrolment } from './totp/totp-factors.js';
import {
  RECOVERY_CODES_RENEWED_MAIL,
  SECOND_FACTOR_ADDED_MAIL,
  SECOND_FACTOR_REMOVED_MAIL,
} from './mails.js';

export interface EnrolledFactors {
  totp: { addedAt: Date } | null;
  recoveryCodesLeft: number;
  passkeys: number;
}

/**
 * Adds and removes the second factors of a user. A change ends every other session and gives this one new
 * keys, like a password change (ASVS 7.4.3). So a user with a factor has no session that never proved one.
 */
@Injectable()
export class MfaManagementService {
  constructor(
    private readonly database: DataSource,
    private readonly transactions: UserTransactions,
    private readonly users: UserRepository,
    private readonly factors: SecondFactors,
    private readonly totp: TotpFactors,
    private readonly recoveryCodes: RecoveryCodeRepository,
    private readonly passkeys: PasskeyRepository,
    private readonly fence: SessionFence,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly credentialChange: CredentialChangeService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** The factors that the user has enrolled. */
  async enrolled(userId: string): Promise<EnrolledFactors> {
    const addedAt = await this.totp.addedAt(this.database.manager, userId);
    const recoveryCodesLeft = await this.recoveryCodes.count(this.database.manager, userId);
    const passkeys = await this.passkeys.count(this.database.manager, userId);
    return { totp: addedAt && { addedAt }, recoveryCodesLeft, passkeys };
  }

  /**
   * Starts the enrolment of an authenticator app. Nothing changes before {@link confirmTotp}.
   *
   * @throws Problem `auth.session_ended`, `auth.second_factor_required`, `auth.reauthentication_required`,
   * `auth.unavailable`
   */
  async beginTotp({ userId, sessionId }: Principal): Promise<TotpEnrolment> {
    return this.transactions.run(userId, async (tx) => {
      const { user, session } = await this.lock(tx, userId, sessionId);
      await this.factors.requireProof(tx, session);
      const now = await databaseNow(tx, this.clock);
      return this.totp.begin(tx, { userId, sessionId, account: user.email! }, now);
    });
  }

  /**
   * Confirms an enrolment with the first code of the app. The code also counts as a proof in this session. A client
   * that lost the response may confirm again: it gets new recovery codes, and the lost ones are void.
   *
   * @throws Problem `auth.invalid_credentials`; `resource.conflict` when this session has not started an enrolment;
   * `request.rate_limited`
   */
  async confirmTotp(
    principal: Principal,
    code: string,
    context: RequestContext,
  ): Promise<{ recoveryCodes: string[]; grant: SessionGrant | null }> {
    const { userId, sessionId } = principal;
    let confirmation: Confirmation;
    let recoveryCodes: string[] = [];
    const { rekeyed } = await this.attemptLimiter.prove(
      { secret: 'code', account: userId, known: sessionId, context },
      async () => {
        const rekeyed = await this.credentialChange.run(principal, {
          cause: {
            reason: 'mfa_change',
            actorId: userId,
            context,
            audit: 'authn_second_factor_added',
            details: { factor: 'totp' },
          },
          recheck: async (_, tx, now) => {
            confirmation = await this.totp.confirm(tx, { userId, sessionId, code }, now);
            if (confirmation === 'none') throw new Problem('resource.conflict', { detail: NOTHING_BEGUN });
            return confirmation !== 'wrong';
          },
          act: async (tx, { email }, now) => {
            recoveryCodes = await this.recoveryCodes.issue(tx, userId);
            const where = mailContextOf(context, now);
            const proofs = { authenticatedAt: now.getTime(), secondFactorAt: now.getTime() };
            if (confirmation === 'again') {
              await this.mails.add(tx, email!, RECOVERY_CODES_RENEWED_MAIL, where);
              return { ...proofs, audit: 'authn_recovery_codes_renewed' };
            }
            await this.mails.add(tx, email!, SECOND_FACTOR_ADDED_MAIL, where);
            return proofs;
          },
        });
        return { proven: rekeyed !== null, rekeyed };
      },
    );
    if (!rekeyed) throw wrongCode();
    return { recoveryCodes, grant: rekeyed.grant };
  }

  /**
   * Removes the authenticator app of the user.
   *
   * @throws Problem `resource.not_found`, `auth.session_ended`, `auth.reauthentication_required`
   */
  async removeTotp(principal: Principal, context: RequestContext): Promise<SessionGrant | null> {
    const { userId } = principal;
    const rekeyed = await this.credentialChange.run(principal, {
      cause: {
        reason: 'mfa_change',
        actorId: userId,
        context,
        audit: 'authn_second_factor_removed',
        details: { factor: 'totp' },
      },
      act: async (tx, { email }, now, session) => {
        await this.factors.requireProof(tx, session);
        if (!(await this.totp.remove(tx, userId))) throw new Problem('resource.not_found');
        const left = await this.factors.voidIdleCodes(tx, userId);
        await this.mails.add(tx, email!, SECOND_FACTOR_REMOVED_MAIL, mailContextOf(context, now));
        return left ? {} : { secondFactorAt: null };
      },
    });
    return rekeyed?.grant ?? null;
  }

  /**
   * Issues new recovery codes and voids the old ones.
   *
   * @throws Problem `resource.conflict` when the user has no second factor
   */
  async renewRecoveryCodes({ userId, sessionId }: Principal, context: RequestContext): Promise<string[]> {
    return this.transactions.run(userId, async (tx) => {
      const { user, session } = await this.lock(tx, userId, sessionId);
      await this.factors.requireProof(tx, session);
      if (!(await this.factors.isEnrolled(tx, userId)))
        throw new Problem('resource.conflict', {
          detail: 'Recovery codes require a second factor. Enrol one first.',
        });
      const now = await databaseNow(tx, this.clock);
      const codes = await this.recoveryCodes.issue(tx, userId);
      const type = 'authn_recovery_codes_renewed';
      await this.audit.record(tx, { type, actorId: userId, userId, sessionId, context });
      await this.mails.add(tx, user.email!, RECOVERY_CODES_RENEWED_MAIL, mailContextOf(context, now));
      return codes;
    });
  }

  private async lock(tx: EntityManager, userId: string, sessionId: string) {
    const user = await this.users.lock(tx, userId);
    const session = await this.fence.lockLive(tx, sessionId);
    if (!user) throw new Problem('auth.invalid_token');
    return { user, session };
  }
}

const NOTHING_BEGUN = 'This session has no enrolment in progress, or it has expired. Start again.';

/** @returns the problem `auth.invalid_credentials` for a code, the same at every endpoint */
export function wrongCode(): Problem {
  return new Problem('auth.invalid_credentials', {
    detail: 'The code is wrong, has expired or was used before.',
  });
}
