import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Problem } from '../../platform/api/problem.js';
import { isPrivileged, type Role } from '../../roles.js';
import { Settings } from '../../platform/settings/settings.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { openSessions } from '../../sessions/new-session.repository.js';
import { openSessionOf } from '../../sessions/session-factory.js';
import type { Receipt } from '../../sessions/revocation/receipt.js';
import { RevocationWriter, type RevocationTx } from '../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { judge } from '../../sessions/check/session-snapshot.js';
import { isBanned, type User } from '../../users/user.entity.js';
import { UserRepository } from '../../users/user.repository.js';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import { takeLock } from '../../platform/persistence/advisory-locks.js';

/** Changes the status of an account, and with it the life of its sessions: ban, roles, deletion. */
@Injectable()
export class AccountService {
  constructor(
    private readonly users: UserRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly deletions: AccountDeletions,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Ends all sessions of the user and refuses login and refresh, until the given time or until the ban is lifted.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last holder of a privileged role
   */
  ban(
    userId: string,
    { reason, until }: { reason: string; until?: Date },
    { actorId, context }: ActorContext,
  ): Promise<Receipt> {
    const work = async (tx: RevocationTx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      await this.keepHolders(tx, user, now);
      const ban = { bannedAt: now, bannedUntil: until ?? null, banReason: reason };
      await this.users.setBan(tx, userId, ban);
      const details = { banReason: reason, until: until?.toISOString() };
      return this.revocationWriter.endSessions(tx, userId, 'all', {
        reason: 'ban',
        actorId,
        context,
        audit: 'user_banned',
        details,
      });
    };
    return this.revocations.commit(userId, work, { reserved: true });
  }

  /**
   * Allows login again. It restores no session.
   *
   * @returns the receipt of a revocation that ends no session
   * @throws Problem `resource.not_found`
   */
  liftBan(userId: string, { actorId, context }: ActorContext): Promise<Receipt> {
    return this.revocations.commit(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const wasBanned = isBanned(user, this.clock.now());
      await this.users.setBan(tx, userId, null);
      await this.audit.record(tx, {
        type: 'user_ban_lifted',
        actorId,
        userId,
        context,
        details: { wasBanned },
      });
      return this.revocationWriter.markStale(tx, userId, 'ban_lifted');
    });
  }

  /**
   * Changes the roles of a user. They are in force on the next session-checked request.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last holder of a privileged role
   */
  setRoles(userId: string, roles: Role[], { actorId, context }: ActorContext): Promise<User> {
    return this.revocations.commit(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      await this.keepHolders(tx, user, now, roles);
      await this.endAged(tx, user, now, { actorId, context });
      await this.users.setRoles(tx, userId, roles);
      const details = { from: user.roles, to: roles };
      await this.audit.record(tx, {
        type: 'privilege_permissions_changed',
        actorId,
        userId,
        context,
        details,
      });
      await this.revocationWriter.markStale(tx, userId, 'roles');
      return Object.assign(user, { roles });
    });
  }

  /**
   * Ends all sessions and deletes all personal data: each feature deletes its own, see {@link AccountDeletions}. The row
   * stays, so that the audit log remains readable.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last holder of a privileged role
   */
  async delete(userId: string, { actorId, context }: ActorContext): Promise<void> {
    const work = async (tx: RevocationTx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      await this.keepHolders(tx, user, now);
      const order = { reason: 'account_deleted', actorId, context, audit: 'user_deleted' } as const;
      // This comes first, because it waits for running payments. A payment cannot refer to a user whose key has
      // changed.
      await this.revocationWriter.endSessions(tx, userId, 'all', order);
      await this.deletions.run(tx, user);
      await this.users.erase(tx, userId, now);
    };
    await this.revocations.commit(userId, work, { reserved: true });
  }

  /**
   * Ends the sessions that have expired by the roles before the change. Longer lifetimes of the new roles must not
   * revive them beside the sessions that have replaced them.
   */
  private async endAged(tx: RevocationTx, user: User, now: Date, actor: ActorContext): Promise<void> {
    const rows = await openSessions(tx, user.id);
    const open = rows.map((row) => openSessionOf(row, user.roles));
    for (const reason of ['idle', 'expired'] as const) {
      const aged = open.filter((session) => judge(session, this.settings, now.getTime())?.reason === reason);
      const only = aged.map(({ id }) => id);
      if (only.length > 0)
        await this.revocationWriter.endSessions(tx, user.id, { only }, { ...actor, reason });
    }
  }

  private async lockForChange(tx: EntityManager, userId: string): Promise<User> {
    const user = await this.users.lock(tx, userId);
    if (!user || user.deletedAt) throw new Problem('resource.not_found');
    await takeLock(tx, 'privilegedRoles');
    return user;
  }

  /** Refuses the change if the user is the last holder of a privileged role, other than `kept`, who can log in. */
  private async keepHolders(tx: EntityManager, user: User, now: Date, kept: Role[] = []): Promise<void> {
    const lost = user.roles.filter((role) => isPrivileged([role]) && !kept.includes(role));
    if (lost.length === 0) return;
    const role = await this.users.roleHeldByNoOther(tx, user.id, lost, now);
    if (role)
      throw new Problem('resource.conflict', {
        detail: `No other account that can log in has the role ${role}.`,
      });
  }
}
