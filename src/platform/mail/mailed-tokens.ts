import { Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { deriveKey } from '../keys/derive-key.js';
import { Clock } from '../runtime/clock.js';
import type { PendingAction } from './pending-action.js';
import { random } from '../runtime/random.js';
import { KeyStore } from '../keys/key-store.js';
import { databaseNow } from '../persistence/database-now.js';
import { PRODUCT } from '../../product.js';

export type MailedPurpose = 'password_reset' | 'email_verification' | 'email_change';

/**
 * In ms. A reset gives control of an account, so it expires soon (OWASP: at most an hour). A verification may be read
 * the next day.
 */
const LIFETIMES_MS: Record<MailedPurpose, number> = {
  password_reset: 30 * 60_000,
  email_verification: 24 * 3_600_000,
  email_change: 60 * 60_000,
};
/**
 * Purposes whose token may be used again. Mail scanners and impatient users follow a link twice, and the second time
 * has no effect. A reset is not repeatable: each use sets another password, and a link in an old mail must not set
 * one.
 */
const REPEATABLE: readonly MailedPurpose[] = ['email_verification', 'email_change'];
/** The 16 bytes of the id, then a MAC of 32 bytes, in base64url. */
const SHAPE = /^[A-Za-z0-9_-]{64}$/;
const ID_BYTES = 16;

const MARK_USED = `
  update mailed_tokens set used_at = $2 where id = $1 and used_at is null and expires_at > $2`;
const USE_UP = 'delete from mailed_tokens where id = $1 and expires_at > $2';

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

/**
 * Single-use tokens in mails. A token is derived from the id of its row and a secret of the key file, at the moment
 * the mail is sent. So neither the row nor the outbox contains a usable token.
 */
@Injectable()
export class MailedTokens {
  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
    private readonly keys: KeyStore,
  ) {}

  /**
   * Issues a token. A user has one token for each purpose: the previous one is void from the commit on.
   * @returns the id of the token
   */
  async issue(
    tx: EntityManager,
    purpose: MailedPurpose,
    { userId, sessionId, requestedAt }: PendingAction,
    email: string,
  ): Promise<string> {
    const now = await databaseNow(tx, this.clock);
    await tx.query(
      `delete from mailed_tokens where id in (
         select id from mailed_tokens where expires_at <= $1 for update skip locked)`,
      [now],
    );
    const [row] = await tx.query<{ id: string }[]>(
      `insert into mailed_tokens (id, user_id, purpose, email, session_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (user_id, purpose) where used_at is null do update
         set id = excluded.id, email = excluded.email, session_id = excluded.session_id,
           created_at = excluded.created_at, expires_at = excluded.expires_at
       returning id`,
      [
        random.uuid(),
        userId,
        purpose,
        email,
        sessionId,
        requestedAt,
        new Date(now.getTime() + LIFETIMES_MS[purpose]),
      ],
    );
    return row!.id;
  }

  /**
   * The current token that has not expired. A mail that any client can trigger repeats this token and must not
   * replace it.
   */
  async findOrIssue(
    tx: EntityManager,
    purpose: MailedPurpose,
    userId: string,
    email: string,
  ): Promise<MailedToken | null> {
    const [row] = await tx.query<Row[]>(
      `select ${COLUMNS} from mailed_tokens
       where user_id = $1 and purpose = $2 and email = $3 and expires_at > $4 and used_at is null`,
      [userId, purpose, email, await databaseNow(tx, this.clock)],
    );
    return row ? tokenOf(row) : null;
  }

  /**
   * The token as the mail contains it, the same each time.
   * @param now the database's time, in ms
   */
  tokenOf(purpose: MailedPurpose, id: string, now: number): string {
    return Buffer.concat([idBytes(id), mac(this.keys.mintingSecret(now), purpose, id)]).toString('base64url');
  }

  /**
   * The content of an authentic token; null if it is forged, used up or void. {@link use} and {@link wasUsed} check
   * its expiry.
   */
  async find(token: string, purposes: readonly MailedPurpose[]): Promise<MailedToken | null> {
    if (!SHAPE.test(token)) return null;
    const bytes = Buffer.from(token, 'base64url');
    const hex = bytes.subarray(0, ID_BYTES).toString('hex');
    const [row] = await this.database.query<Row[]>(
      `select ${COLUMNS} from mailed_tokens where id = $1 and purpose = any($2)`,
      [hex, purposes],
    );
    if (!row) return null;
    const secrets = this.keys.verifyingSecrets(this.clock.now());
    const shown = bytes.subarray(ID_BYTES);
    const isOurs = secrets.some((secret) => timingSafeEqual(shown, mac(secret, row.purpose, row.id)));
    return isOurs ? tokenOf(row) : null;
  }

  /**
   * Uses the token, in the transaction of its action.
   * @returns false if it was used before, or has expired
   */
  async use(tx: EntityManager, { id, purpose }: MailedToken): Promise<boolean> {
    const now = await databaseNow(tx, this.clock);
    const [, used] = REPEATABLE.includes(purpose)
      ? await tx.query<[unknown, number]>(MARK_USED, [id, now])
      : await tx.query<[unknown, number]>(USE_UP, [id, now]);
    return used === 1;
  }

  /** Whether the token was used before and has not expired yet. */
  async wasUsed(tx: EntityManager, { id }: MailedToken): Promise<boolean> {
    const rows = await tx.query<unknown[]>(
      'select from mailed_tokens where id = $1 and used_at is not null and expires_at > $2',
      [id, await databaseNow(tx, this.clock)],
    );
    return rows.length === 1;
  }

  /** Invalidates the tokens of these purposes, in the caller's transaction. */
  async void(tx: EntityManager, userId: string, purposes: readonly MailedPurpose[]): Promise<void> {
    await tx.query('delete from mailed_tokens where user_id = $1 and purpose = any($2)', [userId, purposes]);
  }
}

function mac(secret: Buffer, purpose: MailedPurpose, id: string): Buffer {
  return deriveKey(secret, { salt: idBytes(id), purpose: `${PRODUCT.keyPurpose.mailedToken} ${purpose}` });
}

function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function tokenOf({ id, user_id, purpose, email, session_id, created_at }: Row): MailedToken {
  return { id, userId: user_id, purpose, email, sessionId: session_id, requestedAt: created_at };
}
