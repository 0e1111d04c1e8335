import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import type { Origin, Principal } from '../common/request.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { circumstances } from '../sessions/circumstances.js';
import { RekeyService } from '../sessions/rekey.service.js';
import type { SessionGrant } from '../sessions/sessions.service.js';
import { Guesses } from '../throttle/guesses.js';
import { UsersService } from '../users/users.service.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordsService } from './passwords.service.js';

/** A new password for whoever knows the old one. */
@Injectable()
export class PasswordChangeService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UsersService,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly guesses: Guesses,
    private readonly rekeys: RekeyService,
    private readonly outbox: MailOutbox,
    private readonly audit: AuditService,
  ) {}

  /**
   * Ends every other session; this one gets new keys. A client that lost the answer may send the same request again:
   * the new password proves that it is the same, and nothing changes.
   * @returns what the client is to be handed, where its transport has a way; see {@link RekeyService}
   * @throws Problem `auth.invalid_credentials`, `request.invalid`, `auth.session_ended`, `request.rate_limited`, `auth.unavailable`
   */
  async change(
    principal: Principal,
    { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
    origin: Origin,
  ): Promise<SessionGrant | null> {
    const { userId, sessionId } = principal;
    const user = await this.users.findWithPassword(userId);
    const { proven, isRepeated } = await this.guesses.prove(
      { secret: 'password', account: user?.email ?? userId, known: sessionId, origin },
      async () => {
        if (await this.passwords.verify(currentPassword, user?.passwordHash))
          return { proven: true, isRepeated: false };
        const isRepeated =
          (await this.rekeys.mayRepeat(principal, 'password_change')) &&
          (await this.passwords.verify(newPassword, user?.passwordHash));
        return { proven: isRepeated, isRepeated };
      },
    );
    if (!user || !proven) return this.refuse(userId, sessionId, origin);
    if (isRepeated) return null;
    await this.policy.require(newPassword, 'newPassword', user);
    const passwordHash = await this.passwords.hash(newPassword);
    const rekeyed = await this.rekeys.rekey(principal, {
      order: { reason: 'password_change', actorId: userId, origin, audit: 'authn_password_change' },
      stillProven: (found) =>
        this.passwords.isStillRight(currentPassword, user.passwordHash, found.passwordHash),
      act: async (tx, { id, email }, now) => {
        await this.users.setPassword(tx, id, passwordHash);
        await this.outbox.add(tx, email!, 'password_changed', circumstances(origin, now));
        return { authenticatedAt: now.getTime() };
      },
    });
    return rekeyed ? rekeyed.grant : this.refuse(userId, sessionId, origin);
  }

  private async refuse(userId: string, sessionId: string, origin: Origin): Promise<never> {
    await this.audit.record(this.database.manager, {
      type: 'authn_password_change_fail',
      actorId: userId,
      userId,
      sessionId,
      origin,
    });
    throw new Problem('auth.invalid_credentials');
  }
}
