import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import type { Acting } from '../common/actor.decorator.js';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import type { Role } from '../common/roles.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { databaseNow } from '../database/database-now.js';
import { SecondFactors } from '../second-factor/second-factors.js';
import { OPEN_SESSIONS, openSessionOf, type OpenSessionRow } from '../sessions/new-session.js';
import type { Receipt } from '../sessions/receipt.js';
import { RevocationLog, type Recorded } from '../sessions/revocation-log.js';
import { RevocationService } from '../sessions/revocation.service.js';
import { judge } from '../sessions/session-snapshot.js';
import { isBanned, User } from '../users/user.entity.js';
import { RevocationTransactions, UserTransactions } from '../database/user-transactions.js';
import { UsersService } from '../users/users.service.js';

/**
 * An arbitrary number. Changes that may remove an admin run one after the other. Otherwise the last two admins could
 * be removed at the same time.
 */
const ADMINS_LOCK = 7_263_404;

/** Changes the status of an account, and with it the life of its sessions: ban, roles, deletion. */
@Injectable()
export class AccountService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly revoking: RevocationTransactions,
    private readonly users: UsersService,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly factors: SecondFactors,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * Ends all sessions of the user and refuses login and refresh, until the given time or until the ban is lifted.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last admin
   */
  async ban(
    userId: string,
    { reason, until }: { reason: string; until?: Date },
    { actorId, origin }: Acting,
  ): Promise<Receipt> {
    const recorded = await this.revoking.run(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      await this.keepAnAdmin(tx, user, now);
      await tx.update(User, { id: userId }, { bannedAt: now, bannedUntil: until ?? null, banReason: reason });
      const details = { banReason: reason, until: until?.toISOString() };
      return this.log.endSessions(tx, userId, 'all', {
        reason: 'ban',
        actorId,
        origin,
        audit: 'user_banned',
        details,
      });
    });
    return this.revocations.settle(recorded);
  }

  /**
   * Allows login again. It restores no session.
   *
   * @returns the receipt of a revocation that ends no session
   * @throws Problem `resource.not_found`
   */
  async liftBan(userId: string, { actorId, origin }: Acting): Promise<Receipt> {
    const recorded = await this.transactions.run(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const wasBanned = isBanned(user, this.clock.now());
      await tx.update(User, { id: userId }, { bannedAt: null, bannedUntil: null, banReason: null });
      await this.audit.record(tx, {
        type: 'user_ban_lifted',
        actorId,
        userId,
        origin,
        details: { wasBanned },
      });
      return this.log.markStale(tx, userId, 'ban_lifted');
    });
    return this.revocations.settle(recorded);
  }

  /**
   * Changes the roles of a user. They are in force on the next session-checked request.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last admin
   */
  async setRoles(userId: string, roles: Role[], { actorId, origin }: Acting): Promise<User> {
    const { user, recorded } = await this.transactions.run(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      if (!roles.includes('admin')) await this.keepAnAdmin(tx, user, now);
      const aged = await this.endAged(tx, user, now, { actorId, origin });
      await tx.update(User, { id: userId }, { roles });
      const details = { from: user.roles, to: roles };
      await this.audit.record(tx, {
        type: 'privilege_permissions_changed',
        actorId,
        userId,
        origin,
        details,
      });
      return {
        user: Object.assign(user, { roles }),
        recorded: [...aged, await this.log.markStale(tx, userId, 'roles')],
      };
    });
    for (const each of recorded) await this.revocations.settle(each);
    return user;
  }

  /**
   * Ends all sessions and deletes all personal data. The row stays, so that the audit log remains readable.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` for the last admin
   */
  async delete(userId: string, { actorId, origin }: Acting): Promise<void> {
    const recorded = await this.revoking.run(userId, async (tx) => {
      const user = await this.lockForChange(tx, userId);
      const now = await databaseNow(tx, this.clock);
      await this.keepAnAdmin(tx, user, now);
      const order = { reason: 'account_deleted', actorId, origin, audit: 'user_deleted' } as const;
      // This comes first, because it waits for running payments. A payment cannot refer to a user whose key has
      // changed.
      const recorded = await this.log.endSessions(tx, userId, 'all', order);
      // Housekeeping removes the devices when no session record refers to them.
      await tx.query(
        'insert into devices_left_behind select id from devices where user_id = $1 on conflict do nothing',
        [userId],
      );
      await tx.query('delete from mails where recipient = $1', [user.email]);
      await tx.query('delete from mailed_tokens where user_id = $1', [userId]);
      await this.factors.removeAll(tx, userId);
      // Skip an account job that is running: it waits for this user's lock, and then does not find the user.
      await tx.query(
        `delete from account_errands where id in (
           select id from account_errands where user_id = $1 or email = $2 for update skip locked)`,
        [userId, user.email],
      );
      await tx.update(
        User,
        { id: userId },
        { email: null, displayName: null, passwordHash: null, roles: [], deletedAt: now },
      );
      return recorded;
    });
    await this.revocations.settle(recorded);
  }

  /**
   * Ends the sessions that have expired by the roles before the change. Longer lifetimes of the new roles must not
   * revive them beside the sessions that have replaced them.
   */
  private async endAged(tx: EntityManager, user: User, now: Date, acting: Acting): Promise<Recorded[]> {
    const rows = await tx.query<OpenSessionRow[]>(OPEN_SESSIONS, [user.id]);
    const open = rows.map((row) => openSessionOf(row, user.roles));
    const ended: Recorded[] = [];
    for (const reason of ['idle', 'expired'] as const) {
      const aged = open.filter((session) => judge(session, this.settings, now.getTime())?.reason === reason);
      const only = aged.map(({ id }) => id);
      if (only.length > 0)
        ended.push(await this.log.endSessions(tx, user.id, { only }, { ...acting, reason }));
    }
    return ended;
  }

  private async lockForChange(tx: EntityManager, userId: string): Promise<User> {
    const user = await this.users.lock(tx, userId);
    if (!user || user.deletedAt) throw new Problem('resource.not_found');
    await tx.query('select pg_advisory_xact_lock($1)', [ADMINS_LOCK]);
    return user;
  }

  /** Refuses the change if this user is the last admin who can log in. */
  private async keepAnAdmin(tx: EntityManager, user: User, now: Date): Promise<void> {
    if (!user.roles.includes('admin')) return;
    const [others] = await tx.query<{ exists: boolean }[]>(
      `select exists (select from users where id <> $1 and 'admin' = any(roles) and deleted_at is null
         and (banned_at is null or banned_until <= $2))`,
      [user.id, now],
    );
    if (!others!.exists)
      throw new Problem('resource.conflict', { detail: 'The last admin account cannot be removed.' });
  }
}
