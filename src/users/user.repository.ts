import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EntityManager, IsNull, Repository } from 'typeorm';
import type { Role } from '../roles.js';
import { random } from '../platform/runtime/random.js';
import { waitForLock } from '../platform/persistence/lock-waits.js';
import { canonicalEmailPrefix } from '../platform/mail/email-address.js';
import { User } from './user.entity.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';

export interface NewUser {
  /** A random UUID when absent. */
  id?: string;
  email: string;
  passwordHash: string;
  displayName?: string | null;
  roles?: Role[];
  emailVerifiedAt?: Date | null;
  createdAt: Date;
}

/** A user at login: the password hash, and whether the account may log in. */
export type LoginUser = Pick<
  User,
  'id' | 'passwordHash' | 'emailVerifiedAt' | 'bannedAt' | 'bannedUntil' | 'deletedAt'
>;

/** Plain SQL. Most transactions begin with this lock, and a query builder would take longer than the query. */
const LOCK = `
  select id, email, email_verified_at as "emailVerifiedAt", display_name as "displayName", password_hash as "passwordHash",
    roles, banned_at as "bannedAt", banned_until as "bannedUntil", ban_reason as "banReason", deleted_at as "deletedAt",
    created_at as "createdAt"
  from users where id = $1 for no key update`;
const LOCK_IF_FREE = `${LOCK} skip locked`;

/**
 * Reads and writes user accounts. It knows nothing of sessions. A caller that changes a property on which sessions
 * depend must also revoke sessions.
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

  /** Marks the address as verified, unless it is verified already. */
  async markVerified(tx: EntityManager, id: string, now: Date): Promise<void> {
    await tx.update(User, { id, emailVerifiedAt: IsNull() }, { emailVerifiedAt: now });
  }

  /** The unique index refuses an address that another user has. */
  async setEmail(tx: EntityManager, id: string, email: string, verifiedAt: Date): Promise<void> {
    await tx.update(User, { id }, { email, emailVerifiedAt: verifiedAt });
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
