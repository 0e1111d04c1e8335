import { Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { deriveKey } from '../runtime/derive-key.js';
import { Clock } from '../runtime/clock.js';
import { MailedTokenRepository, type MailedPurpose, type MailedToken } from './mailed-token.repository.js';
import type { PendingAction } from './pending-action.js';
import { random } from '../runtime/random.js';
import { KeyStore } from '../keys/key-store.js';
import { databaseNow } from '../persistence/database-now.js';
import { PRODUCT } from '../../product.js';

/**
 * In ms. A reset gives control of an account, so it expires soon (OWASP: at most an hour). A verification may be read
 * the next day.
 */
const LIFETIMES_MS: Record<MailedPurpose, number> = {
  password_reset: 30 * 60_000,
  email_verification: 24 * 3_600_000,
  email_change: 60 * 60_000,
  admin_invitation: 60 * 60_000,
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

/**
 * Single-use tokens in mails. A token is derived from the id of its row and a secret of the key file, at the moment
 * the mail is sent. So neither the row nor the outbox contains a usable token.
 */
@Injectable()
export class MailedTokens {
  constructor(
    private readonly stored: MailedTokenRepository,
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
    await this.stored.deleteExpired(tx, now);
    const token = { id: random.uuid(), userId, purpose, email, sessionId, requestedAt };
    return this.stored.save(tx, token, new Date(now.getTime() + LIFETIMES_MS[purpose]));
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
    return this.stored.findUnused(tx, { purpose, userId, email }, await databaseNow(tx, this.clock));
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
    const found = await this.stored.find(hex, purposes);
    if (!found) return null;
    const secrets = this.keys.verifyingSecrets(this.clock.now());
    const shown = bytes.subarray(ID_BYTES);
    const isOurs = secrets.some((secret) => timingSafeEqual(shown, mac(secret, found.purpose, found.id)));
    return isOurs ? found : null;
  }

  /**
   * Uses the token, in the transaction of its action.
   * @returns false if it was used before, or has expired
   */
  async use(tx: EntityManager, { id, purpose }: MailedToken): Promise<boolean> {
    const now = await databaseNow(tx, this.clock);
    return this.stored.use(tx, id, now, { isRepeatable: REPEATABLE.includes(purpose) });
  }

  /** Whether the token was used before and has not expired yet. */
  async wasUsed(tx: EntityManager, { id }: MailedToken): Promise<boolean> {
    return this.stored.wasUsed(tx, id, await databaseNow(tx, this.clock));
  }

  /** Invalidates the tokens of these purposes, in the caller's transaction. */
  async void(tx: EntityManager, userId: string, purposes: readonly MailedPurpose[]): Promise<void> {
    await this.stored.deleteOf(tx, userId, purposes);
  }
}

function mac(secret: Buffer, purpose: MailedPurpose, id: string): Buffer {
  return deriveKey(secret, { salt: idBytes(id), purpose: `${PRODUCT.keyPurpose.mailedToken} ${purpose}` });
}

function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}
