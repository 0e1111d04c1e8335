import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { RequestContext } from '../../platform/http/request.js';
import { MailLinks } from '../../platform/mail/mail-links.js';
import { MailedTokens } from '../../platform/mail/mailed-tokens.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { Clock } from '../../platform/runtime/clock.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import { isUsable, type User } from '../../users/user.entity.js';
import { UserRepository } from '../../users/user.repository.js';

/**
 * Invites an admin by a link that an operator hands over. The password is chosen with the link, so no default password
 * exists, and a password that another person has set before no longer works. The user gets the role with the
 * password and not before: an invitation that is never used leaves no privileged account.
 */
@Injectable()
export class AdminInvitations {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly tokens: MailedTokens,
    private readonly links: MailLinks,
    private readonly pending: PendingActions,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Creates the account if no user has the address. A new invitation voids the one before, as the end of the user's
   * sessions does.
   *
   * @param email the canonical spelling
   * @returns the link
   * @throws Problem `resource.conflict` if the account is banned
   */
  async invite(email: string, { actorId, context }: ActorContext): Promise<string> {
    const { tokenId, now } = await this.database.transaction(async (tx) => {
      await shareEpoch(tx);
      const now = await databaseNow(tx, this.clock);
      const userId = await this.users.create(tx, { email, passwordHash: null, createdAt: now });
      const details = { taken: false };
      if (userId) await this.audit.record(tx, { type: 'user_created', actorId, userId, context, details });
      const user = await this.users.lockByEmail(tx, email);
      if (!user || !isUsable(user, now.getTime()))
        throw new Problem('resource.conflict', { detail: 'The account is banned: lift the ban first.' });
      const action = { userId: user.id, sessionId: null };
      const requestedAt = await this.pending.requestedAt(tx, action);
      await this.audit.record(tx, {
        type: 'authn_password_reset_requested',
        actorId,
        userId: user.id,
        context,
        details: { invitation: true },
      });
      return {
        tokenId: await this.tokens.issue(tx, 'admin_invitation', { ...action, requestedAt }, email),
        now,
      };
    });
    return this.links.to({ page: 'reset-password', purpose: 'admin_invitation' }, tokenId, now.getTime());
  }

  /** Makes the invited user an admin. Part of the transaction that sets the password and ends the sessions. */
  async accept(tx: EntityManager, user: User, context: RequestContext): Promise<void> {
    const roles = [...new Set([...user.roles, 'admin' as const])];
    await this.users.setRoles(tx, user.id, roles);
    await this.audit.record(tx, {
      type: 'privilege_permissions_changed',
      actorId: user.id,
      userId: user.id,
      context,
      details: { from: user.roles, to: roles, invitation: true },
    });
  }
}
