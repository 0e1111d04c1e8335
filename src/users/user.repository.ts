import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, Repository, type DataSource, type EntityManager } from 'typeorm';
import type { Role } from '../roles.js';
import { random } from '../platform/runtime/random.js';
import { waitForLock } from '../platform/persistence/lock-waits.js';
import { canonicalEmailPrefix } from '../platform/mail/email-address.js';
import { User, type Ban, type LoginUser, type NewUser } from './user.entity.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';

/** Plain SQL. Most transactions begin with this lock, and a query builder would take longer than the query. */
const LOCK = `
  select id, email, email_verified_at as "emailVerifiedAt", display_name as "displayName", password_hash as "passwordHash",
    roles, banned_at as "bannedAt", banned_until as "bannedUntil", ban_reason as "banReason", deleted_at as "deletedAt",
    created_at as "createdAt"
  from users where id = $1 for no key update`;
const LOCK_IF_FREE = `${LOCK} skip locked`;

/**
 * All statements that are mainly about the table `users`, and all that write it. A caller that changes a property on
 * which sessions depend must also revoke sessions.
 */
@Injectable()
export class UserRepository {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: UserTransactions,
  ) {}

  find(id: string): Promise<User | null> {
    return this.users.findOneBy({ id });
  }

  /** @param email the canonical spelling */
  findByEmail(email: string): Promise<User | null> {
    return this.users.findOneBy({ email });
  }

  /** Returns one row in either case, so the lookup takes the same time whether or not the address is registered. */
  async findForLogin(email: string): Promise<LoginUser | null> {
    const [row] = await this.users.query<[LoginUser]>(
      `select u.id, u.password_hash as "passwordHash", u.email_verified_at as "emailVerifiedAt",
         u.banned_at as "bannedAt", u.banned_until as "bannedUntil", u.deleted_at as "deletedAt"
       from (select) one left join users u on u.email = $1`,
      [email],
    );
    return row.id ? row : null;
  }

  /** The user with the password hash, which other lookups omit. */
  findWithPassword(id: string): Promise<User | null> {
    return this.users.createQueryBuilder('user').addSelect('user.passwordHash').where({ id }).getOne();
  }

  /** Whether the user exists, also after the account was deleted. */
  async exists(tx: EntityManager | DataSource, id: string): Promise<boolean> {
    const found = await tx.query<unknown[]>('select from users where id = $1', [id]);
    return found.length > 0;
  }

  /**
   * Serialises all changes of one user. Login, refresh, revocation and changes of rights take this lock first and
   * keep it until their transaction ends. The lock does not block foreign keys: a running payment can refer to the
   * user while a revocation waits for it.
   *
   * The transaction must be one of {@link UserTransactions}, which retries when the lock is not granted soon.
   *
   * @returns null when the user does not exist
   */
  async lock(tx: EntityManager, id: string): Promise<User | null> {
    const [free] = await tx.query<User[]>(LOCK_IF_FREE, [id]);
    if (free) return free;
    const [user] = await waitForLock(tx.dataSource, () => tx.query<User[]>(LOCK, [id]));
    return user ?? null;
  }

  /** Same as {@link lock}, but by canonical address. */
  async lockByEmail(tx: EntityManager, email: string): Promise<User | null> {
    return tx.createQueryBuilder(User, 'user').where({ email }).setLock('for_no_key_update').getOne();
  }

  /** Part of the caller's transaction, like the methods below. The caller must revoke the sessions. */
  async setPassword(tx: EntityManager, id: string, passwordHash: string): Promise<void> {
    await tx.update(User, { id }, { passwordHash });
  }

  /** Replaces a hash by another one of the same password, unless the password has changed meanwhile. */
  async rehash(id: string, from: string | null, to: string): Promise<void> {
    await this.transactions.attempt(id, () =>
      this.users.query('update users set password_hash = $3 where id = $1 and password_hash = $2', [
        id,
        from,
        to,
      ]),
    );
  }

  /** Marks the address as verified, unless it is verified already. */
  async markVerified(tx: EntityManager, id: string, now: Date): Promise<void> {
    await tx.update(User, { id, emailVerifiedAt: IsNull() }, { emailVerifiedAt: now });
  }

  /** The unique index refuses an address that another user has. */
  async setEmail(tx: EntityManager, id: string, email: string, verifiedAt: Date): Promise<void> {
    await tx.update(User, { id }, { email, emailVerifiedAt: verifiedAt });
  }

  /**
   * Voids the requests without a session that were made up to this time; if `sessions`, no session that was created up
   * to this time is alive either. The times only increase.
   */
  async setNotBefore(tx: EntityManager, id: string, notBefore: Date, sessions: boolean): Promise<void> {
    await tx.query(
      `update users set pending_not_before = greatest(pending_not_before, $2),
         sessions_not_before = case when $3 then greatest(sessions_not_before, $2) else sessions_not_before end
       where id = $1`,
      [id, notBefore, sessions],
    );
  }

  /**
   * Whether the owner of a registered address may be told again that another person registers with it. If true, the
   * notification counts as sent.
   *
   * @param pause the minimum time between two notifications, in milliseconds
   */
  async mayTell(tx: EntityManager, id: string, now: Date, pause: number): Promise<boolean> {
    const [, told] = await tx.query<[unknown, number]>(
      `update users set registration_told_at = $2
       where id = $1 and (registration_told_at is null or registration_told_at <= $3)`,
      [id, now, new Date(now.getTime() - pause)],
    );
    return told === 1;
  }

  /**
   * One statement in either case, so that a free address and a registered one take the same time.
   *
   * @returns the new user's id; null when the address is registered, also by a concurrent registration
   */
  async create(tx: EntityManager, user: NewUser): Promise<string | null> {
    const { id, email, passwordHash, displayName, roles, emailVerifiedAt, createdAt } = user;
    const [row] = await tx.query<{ id: string }[]>(
      `insert into users (id, email, password_hash, display_name, roles, email_verified_at, created_at)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning id`,
      [
        id ?? random.uuid(),
        email,
        passwordHash,
        displayName ?? null,
        roles ?? ['user'],
        emailVerifiedAt ?? null,
        createdAt,
      ],
    );
    return row?.id ?? null;
  }

  /** Changes the display name of an account that is not deleted. */
  async rename(id: string, displayName: string | null): Promise<void> {
    await this.transactions.attempt(id, () =>
      this.users.update({ id, deletedAt: IsNull() }, { displayName }),
    );
  }

  /** @param ban null lifts the ban */
  async setBan(tx: EntityManager, id: string, ban: Ban | null): Promise<void> {
    const { bannedAt = null, bannedUntil = null, banReason = null } = ban ?? {};
    await tx.update(User, { id }, { bannedAt, bannedUntil, banReason });
  }

  async setRoles(tx: EntityManager, id: string, roles: Role[]): Promise<void> {
    await tx.update(User, { id }, { roles });
  }

  /** Removes the personal data. The row stays, so that the audit log remains readable. */
  async erase(tx: EntityManager, id: string, now: Date): Promise<void> {
    const nothing = { email: null, displayName: null, passwordHash: null, roles: [] };
    await tx.update(User, { id }, { ...nothing, deletedAt: now });
  }

  /** One of these roles that no other user who can log in has; undefined if each has another holder. */
  async roleHeldByNoOther(
    tx: EntityManager,
    id: string,
    roles: Role[],
    now: Date,
  ): Promise<Role | undefined> {
    const [last] = await tx.query<{ role: Role }[]>(
      `select role from unnest($2::text[]) role where not exists (
         select from users where id <> $1 and roles @> array[role] and roles <> '{user}' and deleted_at is null
           and (banned_at is null or banned_until <= $3)) limit 1`,
      [id, roles, now],
    );
    return last?.role;
  }

  /**
   * Lists users, newest first.
   *
   * @param query the beginning of an address, in any spelling
   */
  list({
    limit,
    before,
    query,
  }: {
    limit: number;
    before?: { createdAt: Date; id: string };
    query?: string;
  }) {
    const select = this.users.createQueryBuilder('user').where('user.deletedAt is null');
    if (query)
      select.andWhere(`user.email like :prefix escape '\\'`, {
        prefix: `${escapeLike(canonicalEmailPrefix(query))}%`,
      });
    if (before) select.andWhere('(user.createdAt, user.id) < (:createdAt, :id)', before);
    return select.orderBy('user.createdAt', 'DESC').addOrderBy('user.id', 'DESC').take(limit).getMany();
  }
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}
