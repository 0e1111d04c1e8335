import { Injectable } from '@nestjs/common';
import { QueryFailedError, type EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Clock } from '../common/clock.js';
import type { Origin, Principal } from '../common/request.js';
import { databaseNow } from '../database/database-now.js';
import { MailedTokens, type MailedToken } from '../mail/mailed-tokens.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { circumstances } from '../sessions/circumstances.js';
import { PendingActions } from '../sessions/pending-actions.service.js';
import { tokenDenied } from '../sessions/session-check.js';
import { shareEpoch } from '../sessions/session-epoch.js';
import { SessionFence } from '../sessions/session-fence.js';
import { isUsable, type User } from '../users/user.entity.js';
import { UserTransactions } from '../database/user-transactions.js';
import { UsersService } from '../users/users.service.js';
import { AccountErrands } from './account-errands.js';
import { badToken } from './password-reset.service.js';

const UNIQUE_VIOLATION = '23505';

/** The address of an account: proof that its owner reads it, and its change. */
@Injectable()
export class EmailService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly users: UsersService,
    private readonly tokens: MailedTokens,
    private readonly errands: AccountErrands,
    private readonly outbox: MailOutbox,
    private readonly fence: SessionFence,
    private readonly pending: PendingActions,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Nothing changes before the link to the new address is followed, and the request is void once its session has ended.
   * Whether the address is taken is not told here.
   * @throws Problem `auth.session_ended`, `auth.token_expired` when the session has got new keys meanwhile
   */
  async requestChange(
    { userId, sessionId, edition }: Pick<Principal, 'userId' | 'sessionId' | 'edition'>,
    email: string,
    origin: Origin,
  ): Promise<void> {
    await this.transactions.run(userId, async (tx) => {
      await shareEpoch(tx);
      // A change of credentials comes before this request, which its new keys then refuse, or after, and voids it.
      await this.users.lock(tx, userId);
      const session = await this.fence.hold(tx, sessionId);
      if (session.edition !== edition) throw tokenDenied();
      const type = 'email_change_requested';
      await this.audit.record(tx, { type, actorId: userId, userId, sessionId, origin });
      await this.errands.add(tx, { kind: 'email_change', email, userId, sessionId, origin });
    });
  }

  /**
   * Of a new account, or of a new address. The same link again does nothing, and is no error.
   * @throws Problem `request.invalid` for a token that is not, or no longer, good
   */
  async verify(token: string, origin: Origin): Promise<void> {
    const found = await this.tokens.find(token, ['email_verification', 'email_change']);
    if (!found) throw badToken();
    try {
      await this.transactions.run(found.userId, (tx) => this.verifyIn(tx, found, origin));
    } catch (error) {
      // Somebody else has registered with it meanwhile.
      if (error instanceof QueryFailedError && error.driverError.code === UNIQUE_VIOLATION) throw badToken();
      throw error;
    }
  }

  private async verifyIn(tx: EntityManager, token: MailedToken, origin: Origin): Promise<void> {
    await shareEpoch(tx);
    const user = await this.users.lock(tx, token.userId);
    const now = await databaseNow(tx, this.clock);
    if (!user || !isUsable(user, now.getTime())) throw badToken();
    if (await this.tokens.wasUsed(tx, token)) return requireDone(user, token);
    if (!(await this.pending.isAuthorized(tx, token)) || !(await this.tokens.use(tx, token)))
      throw badToken();
    if (token.purpose === 'email_change') return this.change(tx, user, token.email, now, origin);
    if (user.email !== token.email) throw badToken();
    await this.users.markVerified(tx, user.id, now);
    await this.audit.record(tx, { type: 'email_verified', actorId: user.id, userId: user.id, origin });
  }

  /** What was sent to the old address is void: whoever reads that mailbox has no say any more. */
  private async change(
    tx: EntityManager,
    { id, email: old }: User,
    email: string,
    now: Date,
    origin: Origin,
  ): Promise<void> {
    await this.users.setEmail(tx, id, email, now);
    await this.tokens.void(tx, id, ['password_reset', 'email_verification']);
    await this.audit.record(tx, { type: 'email_changed', actorId: id, userId: id, origin });
    const told = { newEmail: email, ...circumstances(origin, now) };
    await this.outbox.add(tx, old!, 'email_changed', told);
  }
}

/** The link was followed before. @throws Problem `request.invalid` unless it has verified the address that the account has */
function requireDone({ email, emailVerifiedAt }: User, token: MailedToken): void {
  if (email !== token.email || emailVerifiedAt === null) throw badToken();
}
