import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountDeletions } from '../persistence/account-deletions.js';
import type { PendingAction } from './pending-action.js';

/** An `admin_invitation` is in no mail: an operator hands it over. */
export type MailedPurpose = 'password_reset' | 'email_verification' | 'email_change' | 'admin_invitation';

/**
 * The content of a token. The client that has it can read the mailbox. `PendingActions` decides whether its action
 * may still take effect.
 */
export interface MailedToken extends PendingAction {
  id: string;
  purpose: MailedPurpose;
  email: string;
}

interface Row {
  id: string;
  user_id: string;
  purpose: MailedPurpose;
  email: string;
  session_id: string | null;
  created_at: Date;
}

const COLUMNS = 'id, user_id, purpose, email, session_id, created_at';

const MARK_USED = `
  update mailed_tokens set used_at = $2 where id = $1 and used_at is null and expires_at > $2`;
const USE_UP = 'delete from mailed_tokens where id = $1 and expires_at > $2';

/** All statements of the table `mailed_tokens`. */
@Injectable()
export class MailedTokenRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => tx.query('delete from mailed_tokens where user_id = $1', [id]));
  }

  /**
   * Stores a token in place of the unused one that the user has for this purpose.
   * @returns the id of the token
   */
  async save(
    tx: EntityManager,
    { id, userId, purpose, email, sessionId, requestedAt }: MailedToken,
    expiresAt: Date,
  ): Promise<string> {
    const [row] = await tx.query<{ id: string }[]>(
      `insert into mailed_tokens (id, user_id, purpose, email, session_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (user_id, purpose) where used_at is null do update
         set id = excluded.id, email = excluded.email, session_id = excluded.session_id,
           created_at = excluded.created_at, expires_at = excluded.expires_at
       returning id`,
      [id, userId, purpose, email, sessionId, requestedAt, expiresAt],
    );
    return row!.id;
  }

  async find(id: string, purposes: readonly MailedPurpose[]): Promise<MailedToken | null> {
    const [row] = await this.database.query<Row[]>(
      `select ${COLUMNS} from mailed_tokens where id = $1 and purpose = any($2)`,
      [id, purposes],
    );
    return row ? tokenOf(row) : null;
  }

  /** The token of a user that has neither been used nor expired. */
  async findUnused(
    tx: EntityManager,
    { purpose, userId, email }: Pick<MailedToken, 'purpose' | 'userId' | 'email'>,
    now: Date,
  ): Promise<MailedToken | null> {
    const [row] = await tx.query<Row[]>(
      `select ${COLUMNS} from mailed_tokens
       where user_id = $1 and purpose = $2 and email = $3 and expires_at > $4 and used_at is null`,
      [userId, purpose, email, now],
    );
    return row ? tokenOf(row) : null;
  }

  /**
   * @param isRepeatable keeps the row, marked as used
   * @returns false if the token was used before, or has expired
   */
  async use(
    tx: EntityManager,
    id: string,
    now: Date,
    { isRepeatable }: { isRepeatable: boolean },
  ): Promise<boolean> {
    const [, used] = isRepeatable
      ? await tx.query<[unknown, number]>(MARK_USED, [id, now])
      : await tx.query<[unknown, number]>(USE_UP, [id, now]);
    return used === 1;
  }

  /** Whether the token was used before and has not expired yet. */
  async wasUsed(tx: EntityManager, id: string, now: Date): Promise<boolean> {
    const rows = await tx.query<unknown[]>(
      'select from mailed_tokens where id = $1 and used_at is not null and expires_at > $2',
      [id, now],
    );
    return rows.length === 1;
  }

  async deleteOf(tx: EntityManager, userId: string, purposes: readonly MailedPurpose[]): Promise<void> {
    await tx.query('delete from mailed_tokens where user_id = $1 and purpose = any($2)', [userId, purposes]);
  }

  async deleteExpired(tx: EntityManager, now: Date): Promise<void> {
    await tx.query(
      `delete from mailed_tokens where id in (
         select id from mailed_tokens where expires_at <= $1 for update skip locked)`,
      [now],
    );
  }
}

function tokenOf({ id, user_id, purpose, email, session_id, created_at }: Row): MailedToken {
  return { id, userId: user_id, purpose, email, sessionId: session_id, requestedAt: created_at };
}
