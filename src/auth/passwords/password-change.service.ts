import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { CredentialChangeService } from '../../sessions/refresh/credential-change.service.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { UserRepository } from '../../users/user.repository.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordsService } from './passwords.service.js';
import { PASSWORD_CHANGED_MAIL } from './mails.js';

/** Changes a password for a user who knows the old one. */
@Injectable()
export class PasswordChangeService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly credentialChange: CredentialChangeService,
    private readonly outbox: MailOutbox,
    private readonly audit: AuditService,
  ) {}

  /**
   * Changes the password, ends every other session and gives this one new keys. If a client loses the answer, it may
   * send the same request again: the new password proves that it is the same request, and nothing changes.
   * @returns the new tokens, if the transport can deliver them; see {@link CredentialChangeService}
   * @throws Problem `auth.invalid_credentials`, `request.invalid`, `auth.session_ended`, `request.rate_limited`,
   *   `auth.unavailable`
   */
  async change(
    principal: Principal,
    { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
    context: RequestContext,
  ): Promise<SessionGrant | null> {
    const { userId, sessionId } = principal;
    const user = await this.users.findWithPassword(userId);
    const { proven, isRepeated } = await this.attemptLimiter.prove(
      { secret: 'password', account: user?.email ?? userId, known: sessionId, context },
      async () => {
        if (await this.passwords.verify(currentPassword, user?.passwordHash))
          return { proven: true, isRepeated: false };
        const isRepeated =
          (await this.credentialChange.mayRepeat(principal, 'password_change')) &&
          (await this.passwords.verify(newPassword, user?.passwordHash));
        return { proven: isRepeated, isRepeated };
      },
    );
    if (!user || !proven) return this.refuse(userId, sessionId, context);
    if (isRepeated) return null;
    await this.policy.require(newPassword, 'newPassword', user);
    const passwordHash = await this.passwords.hash(newPassword);
    const rekeyed = await this.credentialChange.run(principal, {
      cause: { reason: 'password_change', actorId: userId, context, audit: 'authn_password_change' },
      recheck: (found) => this.passwords.isStillRight(currentPassword, user.passwordHash, found.passwordHash),
      act: async (tx, { id, email }, now) => {
        await this.users.setPassword(tx, id, passwordHash);
        await this.outbox.add(tx, email!, PASSWORD_CHANGED_MAIL, mailContextOf(context, now));
        return { authenticatedAt: now.getTime() };
      },
    });
    return rekeyed ? rekeyed.grant : this.refuse(userId, sessionId, context);
  }

  private async refuse(userId: string, sessionId: string, context: RequestContext): Promise<never> {
    await this.audit.record(this.database.manager, {
      type: 'authn_password_change_fail',
      actorId: userId,
      userId,
      sessionId,
      context,
    });
    throw new Problem('auth.invalid_credentials');
  }
}
