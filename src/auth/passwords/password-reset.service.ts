import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { invalidRequest, type Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { MailedTokens } from '../../platform/mail/mailed-tokens.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { RevocationWriter } from '../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { isUsable } from '../../users/user.entity.js';
import { UserRepository } from '../../users/user.repository.js';
import { AccountJobQueue } from '../registration/account-job-queue.js';
import { AdminInvitations } from './admin-invitations.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordsService } from './passwords.service.js';
import { PASSWORD_CHANGED_MAIL } from './mails.js';

/**
 * Sets a new password by a link. The server mails the link to a user who has forgotten the password. An operator gives
 * the link to an invited admin.
 */
@Injectable()
export class PasswordResetService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly tokens: MailedTokens,
    private readonly accountJobQueue: AccountJobQueue,
    private readonly outbox: MailOutbox,
    private readonly pending: PendingActions,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly invitations: AdminInvitations,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly clock: Clock,
  ) {}

  /** Requests a reset link. A job looks the address up after the answer, and only that address learns the result. */
  async request(email: string, context: RequestContext): Promise<void> {
    await this.accountJobQueue.add(this.database.manager, { kind: 'password_forgotten', email, context });
  }

  /**
   * Sets a new password, ends every session and opens none: a user with a second factor still has to verify it.
   * @throws Problem `request.invalid` if the token is not valid, or no longer
   * @throws Problem `auth.unavailable`
   */
  async reset(token: string, newPassword: string, context: RequestContext): Promise<void> {
    const found = await this.tokens.find(token, ['password_reset', 'admin_invitation']);
    const user = found && (await this.users.find(found.userId));
    if (!found || !user) throw badToken();
    await this.policy.require(newPassword, 'newPassword', user);
    const passwordHash = await this.passwords.hash(newPassword);
    await this.revocations.commit(user.id, async (tx) => {
      await shareEpoch(tx);
      const user = await this.users.lock(tx, found.userId);
      const now = await databaseNow(tx, this.clock);
      const isGood = (await this.pending.isAuthorized(tx, found)) && (await this.tokens.use(tx, found));
      if (!isGood || !user?.email || !isUsable(user, now.getTime()) || user.email !== found.email)
        throw badToken();
      await this.users.setPassword(tx, user.id, passwordHash);
      await this.users.markVerified(tx, user.id, now);
      if (found.purpose === 'admin_invitation') await this.invitations.accept(tx, user, context);
      await this.outbox.add(tx, user.email, PASSWORD_CHANGED_MAIL, mailContextOf(context, now));
      await this.revocationWriter.endSessions(tx, user.id, 'all', {
        reason: 'password_reset',
        actorId: user.id,
        context,
        audit: 'authn_password_reset',
      });
    });
    // Clears the attempt counters, so that a user locked out by an attacker can log in at once.
    await this.attemptLimiter.forget(found.email);
  }
}

/**
 * The same error for a token that is forged, used, void or expired. It is no credential of a session, so the status
 * is not 401.
 */
export function badToken(): Problem {
  return invalidRequest([{ path: 'token', message: 'is invalid or has expired: ask for a new one' }]);
}
