import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';

/** An outside account with which a user signs in. */
export interface Identity {
  id: string;
  userId: string;
  provider: string;
  email: string | null;
  createdAt: Date;
  lastUsedAt: Date;
}

/** The permanent name of an outside account. */
export interface OutsideAccount {
  issuer: string;
  subject: string;
}

const COLUMNS =
  'id, user_id as "userId", provider, email, created_at as "createdAt", last_used_at as "lastUsedAt"';

/** All statements of the table `identities`. */
@Injectable()
export class IdentityRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => tx.query('delete from identities where user_id = $1', [id]));
  }

  list(userId: string): Promise<Identity[]> {
    return this.database.query<Identity[]>(
      `select ${COLUMNS} from identities where user_id = $1 order by created_at desc, id desc`,
      [userId],
    );
  }

  async find(
    { issuer, subject }: OutsideAccount,
    tx: Pick<EntityManager, 'query'> = this.database,
  ): Promise<Identity | null> {
    const [identity] = await tx.query<Identity[]>(
      `select ${COLUMNS} from identities where issuer = $1 and subject = $2`,
      [issuer, subject],
    );
    return identity ?? null;
  }

  /**
   * The users of this issuer who own an address. The issuer has reported it, or the account has it here.
   *
   * @param email canonical
   */
  async usersOf(issuer: string, email: string): Promise<string[]> {
    const rows = await this.database.query<{ user_id: string }[]>(
      `select distinct i.user_id from identities i join users u on u.id = i.user_id
       where i.issuer = $1 and (i.email = $2 or u.email = $2)`,
      [issuer, email],
    );
    return rows.map(({ user_id }) => user_id);
  }

  /** @returns whether it was added: false if the outside account belongs to a user already */
  async add(tx: EntityManager, identity: OutsideAccount & Omit<Identity, 'lastUsedAt'>): Promise<boolean> {
    const { id, userId, issuer, subject, provider, email, createdAt } = identity;
    const added = await tx.query<unknown[]>(
      `insert into identities (id, user_id, issuer, subject, provider, email, created_at, last_used_at)
       values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing returning id`,
      [id, userId, issuer, subject, provider, email, createdAt],
    );
    return added.length === 1;
  }

  async noteUse(tx: EntityManager, id: string, email: string | null, at: Date): Promise<void> {
    await tx.query('update identities set last_used_at = $2, email = $3 where id = $1', [id, at, email]);
  }

  /** @returns the removed one; null if the user has none with this id */
  async remove(tx: EntityManager, userId: string, id: string): Promise<Identity | null> {
    const [[removed]] = await tx.query<[[Identity | undefined], number]>(
      `delete from identities where id = $2 and user_id = $1 returning ${COLUMNS}`,
      [userId, id],
    );
    return removed ?? null;
  }

  async count(tx: EntityManager, userId: string): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(
      'select count(*)::int as count from identities where user_id = $1',
      [userId],
    );
    return row!.count;
  }
}
