import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EntityManager, IsNull, Repository } from 'typeorm';
import type { Role } from '../common/roles.js';
import { random } from '../common/random.js';
import { waitForLock } from '../database/lock-waits.js';
import { canonicalEmailPrefix } from './email-address.js';
import { User } from './user.entity.js';
import { UserTransactions } from '../database/user-transactions.js';

export interface NewUser {
  /** Random when absent. */
  id?: string;
  email: string;
  passwordHash: string;
  displayName?: string | null;
  roles?: Role[];
  emailVerifiedAt?: Date | null;
  createdAt: Date;
}

/** Whose password is asked for, and whether it would let them in. */
export type LoginUser = Pick<
  User,
  'id' | 'passwordHash' | 'emailVerifiedAt' | 'bannedAt' | 'bannedUntil' | 'deletedAt'
>;

/** Written out: as the lock comes first in most transactions, to have it put together each time costs more than it. */
const LOCK = `
  select id, email, email_verified_at as "emailVerifiedAt", display_name as "displayName", password_hash as "passwordHash",
    roles, banned_at as "bannedAt", banned_until as "bannedUntil", ban_reason as "banReason", deleted_at as "deletedAt",
    created_at as "createdAt"
  from users where id = $1 for no key update`;
const LOCK_IF_FREE = `${LOCK} skip locked`;

/** The people. Knows nothing of sessions: whoever changes what a session depends on also revokes. */
@Injectable()
export class UsersService {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: UserTransactions,
  ) {}

  find(id: string): Promise<User | null> {
    return this.users.findOneBy({ id });
  }

  findByEmail(email: string): Promise<User | null> {
    return this.users.findOneBy({ email });
  }

  /** One row either way, so that a look-up takes the same time whether or not somebody has the address. */
  async findForLogin(email: string): Promise<LoginUser | null> {
    const [row] = await this.users.query<[LoginUser]>(
      `select u.id, u.password_hash as "passwordHash", u.email_verified_at as "emailVerifiedAt",
         u.banned_at as "bannedAt", u.banned_until as "bannedUntil", u.deleted_at as "deletedAt"
       from (select) one left join users u on u.email = $1`,
      [email],
    );
    return row.id ? row : null;
  }

  /** With the password hash, which other look-ups do not bring. */
  findWithPassword(id: string): Promise<User | null> {
    return this.users.createQueryBuilder('user').addSelect('user.passwordHash').where({ id }).getOne();
  }

  /**
   * Serialises what happens to one person: login, refresh, revocation and changes of rights all take
   * this lock first, and hold it to the end of their transaction. It lets foreign keys pass: a payment
   * that is under way refers to the user while a revocation waits for it.
   *
   * The transaction is one of {@link UserTransactions}: it runs again when the lock is not free soon.
   */
  async lock(tx: EntityManager, id: string): Promise<User | null> {
    const [free] = await tx.query<User[]>(LOCK_IF_FREE, [id]);
    if (free) return free;
    const [user] = await waitForLock(tx.dataSource, () => tx.query<User[]>(LOCK, [id]));
    return user ?? null;
  }

  /** As {@link lock}, by address. */
  async lockByEmail(tx: EntityManager, email: string): Promise<User | null> {
    return tx.createQueryBuilder(User, 'user').where({ email }).setLock('for_no_key_update').getOne();
  }

  /** Part of the caller's transaction, as those below. Sessions are the caller's business. */
  async setPassword(tx: EntityManager, id: string, passwordHash: string): Promise<void> {
    await tx.update(User, { id }, { passwordHash });
  }

  async markVerified(tx: EntityManager, id: string, now: Date): Promise<void> {
    await tx.update(User, { id, emailVerifiedAt: IsNull() }, { emailVerifiedAt: now });
  }

  /** The unique index says no when somebody else has it. */
  async setEmail(tx: EntityManager, id: string, email: string, verifiedAt: Date): Promise<void> {
    await tx.update(User, { id }, { email, emailVerifiedAt: verifiedAt });
  }

  /** Whether the owner of a taken address may be told again that somebody registers with it; if so, it counts as done. */
  async mayTell(tx: EntityManager, id: string, now: Date, pause: number): Promise<boolean> {
    const [, told] = await tx.query<[unknown, number]>(
      `update users set registration_told_at = $2
       where id = $1 and (registration_told_at is null or registration_told_at <= $3)`,
      [id, now, new Date(now.getTime() - pause)],
    );
    return told === 1;
  }

  /**
   * One statement either way, so that a free address and a taken one take the same time.
   * @returns the new user's id; null when the address is taken, also by a registration that ran at the same time
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

  async rename(id: string, displayName: string | null): Promise<void> {
    await this.transactions.attempt(id, () =>
      this.users.update({ id, deletedAt: IsNull() }, { displayName }),
    );
  }

  /** Newest first. `query` is the beginning of an address, in any spelling. */
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
