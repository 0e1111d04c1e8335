import { Injectable } from '@nestjs/common';
import { QueryFailedError, type EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import type { MailedToken } from '../../platform/mail/mailed-token.repository.js';
import { MailedTokens } from '../../platform/mail/mailed-tokens.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { tokenDenied } from '../../sessions/check/session-check.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import { SessionFence } from '../../sessions/session-fence.js';
import { isUsable, type User } from '../../users/user.entity.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import { AccountJobQueue } from './account-job-queue.js';
import { badToken } from '../passwords/password-reset.service.js';
import { EMAIL_CHANGED_MAIL } from './mails.js';

const UNIQUE_VIOLATION = '23505';

/** Verifies and changes the e-mail address of an account. */
@Injectable()
export class EmailService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly users: UserRepository,
    private readonly tokens: MailedTokens,
    private readonly accountJobQueue: AccountJobQueue,
    private readonly outbox: MailOutbox,
    private readonly fence: SessionFence,
    private readonly pending: PendingActions,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Requests a change of the address. The address changes only when the user follows the link sent to the new
   * address. The request is void once its session has ended. The answer does not tell whether the address is taken.
   * @throws Problem `auth.session_ended` if the session has ended
   * @throws Problem `auth.token_expired` if the session has got new keys meanwhile
   */
  async requestChange(
    { userId, sessionId, keyVersion }: Pick<Principal, 'userId' | 'sessionId' | 'keyVersion'>,
    email: string,
    context: RequestContext,
  ): Promise<void> {
    await this.transactions.run(userId, async (tx) => {
      await shareEpoch(tx);
      // A concurrent change of credentials runs either before this request, whose old keys are then refused, or after
      // it, and then voids it.
      await this.users.lock(tx, userId);
      const session = await this.fence.lockLive(tx, sessionId);
      if (session.keyVersion !== keyVersion) throw tokenDenied();
      const type = 'email_change_requested';
      await this.audit.record(tx, { type, actorId: userId, userId, sessionId, context });
      await this.accountJobQueue.add(tx, { kind: 'email_change', email, userId, sessionId, context });
    });
  }

  /**
   * Verifies the address of a new account, or completes a change of address. Following the same link again has no
   * effect and is no error.
   * @throws Problem `request.invalid` if the token is not valid, or no longer
   */
  async verify(token: string, context: RequestContext): Promise<void> {
    const found = await this.tokens.find(token, ['email_verification', 'email_change']);
    if (!found) throw badToken();
    try {
      await this.transactions.run(found.userId, (tx) => this.verifyIn(tx, found, context));
    } catch (error) {
      // Another user has registered with this address meanwhile.
      if (error instanceof QueryFailedError && error.driverError.code === UNIQUE_VIOLATION) throw badToken();
      throw error;
    }
  }

  private async verifyIn(tx: EntityManager, token: MailedToken, context: RequestContext): Promise<void> {
    await shareEpoch(tx);
    const user = await this.users.lock(tx, token.userId);
    const now = await databaseNow(tx, this.clock);
    if (!user || !isUsable(user, now.getTime())) throw badToken();
    if (await this.tokens.wasUsed(tx, token)) return requireDone(user, token);
    if (!(await this.pending.isAuthorized(tx, token)) || !(await this.tokens.use(tx, token)))
      throw badToken();
    if (token.purpose === 'email_change') return this.change(tx, user, token.email, now, context);
    if (user.email !== token.email) throw badToken();
    await this.users.markVerified(tx, user.id, now);
    await this.audit.record(tx, { type: 'email_verified', actorId: user.id, userId: user.id, context });
  }

  /** Tokens sent to the old address become void: the reader of that mailbox no longer controls the account. */
  private async change(
    tx: EntityManager,
    { id, email: old }: User,
    email: string,
    now: Date,
    context: RequestContext,
  ): Promise<void> {
    const told = { newEmail: email, ...mailContextOf(context, now) };
    // Before the change: the language of the mail is found by the address.
    await this.outbox.add(tx, old!, EMAIL_CHANGED_MAIL, told);
    await this.users.setEmail(tx, id, email, now);
    await this.tokens.void(tx, id, ['password_reset', 'email_verification']);
    await this.audit.record(tx, { type: 'email_changed', actorId: id, userId: id, context });
  }
}

/**
 * Handles a link that was followed before.
 * @throws Problem `request.invalid` unless the link verified the current address of the account
 */
function requireDone({ email, emailVerifiedAt }: User, token: MailedToken): void {
  if (email !== token.email || emailVerifiedAt === null) throw badToken();
}
