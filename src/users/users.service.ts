import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EntityManager, Repository } from 'typeorm';
import type { Role } from '../common/roles.js';
import { random } from '../common/random.js';
import { User } from './user.entity.js';

export interface NewUser {
  /** Random when absent. */
  id?: string;
  email: string;
  passwordHash: string;
  displayName?: string | null;
  roles?: Role[];
  createdAt: Date;
}

/** The people. Knows nothing of sessions: whoever changes what a session depends on also revokes. */
@Injectable()
export class UsersService {
  constructor(@InjectRepository(User) private readonly users: Repository<User>) {}

  find(id: string): Promise<User | null> {
    return this.users.findOneBy({ id });
  }

  /** With the password hash, which no other look-up brings. */
  findForLogin(email: string): Promise<User | null> {
    return this.users.createQueryBuilder('user').addSelect('user.passwordHash').where({ email }).getOne();
  }

  /** As {@link findForLogin}, by id. */
  findWithPassword(id: string): Promise<User | null> {
    return this.users.createQueryBuilder('user').addSelect('user.passwordHash').where({ id }).getOne();
  }

  /**
   * Serialises what happens to one person: login, refresh, revocation and changes of rights all take
   * this lock first, and hold it to the end of their transaction. It lets foreign keys pass: a payment
   * that is under way refers to the user while a revocation waits for it.
   */
  async lock(tx: EntityManager, id: string): Promise<User | null> {
    return tx
      .createQueryBuilder(User, 'user')
      .addSelect('user.passwordHash')
      .where({ id })
      .setLock('for_no_key_update')
      .getOne();
  }

  /** @returns null when the address is taken, also by a registration that ran at the same time */
  async create(
    tx: EntityManager,
    { id, email, passwordHash, displayName, roles, createdAt }: NewUser,
  ): Promise<User | null> {
    const [row] = await tx.query<{ id: string }[]>(
      `insert into users (id, email, password_hash, display_name, roles, created_at)
       values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning id`,
      [id ?? random.uuid(), email, passwordHash, displayName ?? null, roles ?? ['user'], createdAt],
    );
    return row ? tx.findOneByOrFail(User, { id: row.id }) : null;
  }

  async rename(id: string, displayName: string | null): Promise<void> {
    await this.users.update({ id }, { displayName });
  }

  /** Newest first. `query` matches the beginning of an address. */
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
    if (query) select.andWhere(`user.email like :prefix escape '\\'`, { prefix: `${escapeLike(query)}%` });
    if (before) select.andWhere('(user.createdAt, user.id) < (:createdAt, :id)', before);
    return select.orderBy('user.createdAt', 'DESC').addOrderBy('user.id', 'DESC').take(limit).getMany();
  }
}

function escapeLike(text: string): string {
  return text.toLowerCase().replace(/[\\%_]/g, '\\$&');
}
