import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../common/clock.js';
import { invalidRequest, type Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { databaseNow } from '../database/database-now.js';
import { MailedTokens } from '../mail/mailed-tokens.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { circumstances } from '../sessions/circumstances.js';
import { PendingActions } from '../sessions/pending-actions.service.js';
import { RevocationLog } from '../sessions/revocation-log.js';
import { RevocationService } from '../sessions/revocation.service.js';
import { shareEpoch } from '../sessions/session-epoch.js';
import { Guesses } from '../throttle/guesses.js';
import { isUsable } from '../users/user.entity.js';
import { UserTransactions } from '../database/user-transactions.js';
import { UsersService } from '../users/users.service.js';
import { AccountErrands } from './account-errands.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordsService } from './passwords.service.js';

/** Sets a new password for a user who can read the account's mailbox but does not know the old password. */
@Injectable()
export class PasswordResetService {
  constructor(
    private readonly database: DataSource,
    private readonly transactions: UserTransactions,
    private readonly users: UsersService,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly tokens: MailedTokens,
    private readonly errands: AccountErrands,
    private readonly outbox: MailOutbox,
    private readonly pending: PendingActions,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly guesses: Guesses,
    private readonly clock: Clock,
  ) {}

  /** Requests a reset link. A job looks the address up after the answer, and only that address learns the result. */
  async request(email: string, origin: Origin): Promise<void> {
    await this.errands.add(this.database.manager, { kind: 'password_forgotten', email, origin });
  }

  /**
   * Sets a new password, ends every session and opens none: a user with a second factor still has to verify it.
   * @throws Problem `request.invalid` if the token is not valid, or no longer
   * @throws Problem `auth.unavailable`
   */
  async reset(token: string, newPassword: string, origin: Origin): Promise<void> {
    const found = await this.tokens.find(token, ['password_reset']);
    const user = found && (await this.users.find(found.userId));
    if (!found || !user) throw badToken();
    await this.policy.require(newPassword, 'newPassword', user);
    const passwordHash = await this.passwords.hash(newPassword);
    const recorded = await this.transactions.run(user.id, async (tx) => {
      await shareEpoch(tx);
      const user = await this.users.lock(tx, found.userId);
      const now = await databaseNow(tx, this.clock);
      const isGood = (await this.pending.isAuthorized(tx, found)) && (await this.tokens.use(tx, found));
      if (!isGood || !user?.email || !isUsable(user, now.getTime()) || user.email !== found.email)
        throw badToken();
      await this.users.setPassword(tx, user.id, passwordHash);
      await this.users.markVerified(tx, user.id, now);
      await this.outbox.add(tx, user.email, 'password_changed', circumstances(origin, now));
      return this.log.endSessions(tx, user.id, 'all', {
        reason: 'password_reset',
        actorId: user.id,
        origin,
        audit: 'authn_password_reset',
      });
    });
    await this.revocations.settle(recorded);
    // Clears the attempt counters, so that a user locked out by an attacker can log in at once.
    await this.guesses.forget(found.email);
  }
}

/**
 * The same error for a token that is forged, used, void or expired. It is no credential of a session, so the status
 * is not 401.
 */
export function badToken(): Problem {
  return invalidRequest([{ path: 'token', message: 'is invalid or has expired: ask for a new one' }]);
}
