import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { random } from '../../../platform/runtime/random.js';
import { Settings } from '../../../platform/settings/settings.js';
import { PendingActions } from '../../../sessions/pending-actions/pending-actions.service.js';
import { EncryptedSecrets } from './encrypted-secrets.js';
import { TotpRepository, type SecretRow } from './totp.repository.js';
import { base32Of, otpauthUrlOf, SECRET_BYTES, stepOf, TOTP_CODE } from './totp.js';

/** The time to open an authenticator app, or to install one. */
const ENROLMENT_MS = 15 * 60_000;
/** How long a client that lost the response may confirm again: as long as a proof is fresh. */
const CONFIRMABLE_AGAIN_MS = 5 * 60_000;

/** A new secret for an authenticator app, not confirmed yet. */
export interface TotpEnrolment {
  /** Base 32, for users who cannot scan the QR code. */
  secret: string;
  otpauthUrl: string;
  expiresAt: Date;
}

/**
 * `again`: it was confirmed before, and the client has lost the response. `none`: this session has not started an
 * enrolment.
 */
export type Confirmation = 'confirmed' | 'again' | 'wrong' | 'none';

/** Authenticator apps (TOTP). All methods run in the caller's transaction, under the user's lock. */
@Injectable()
export class TotpFactors {
  constructor(
    private readonly stored: TotpRepository,
    private readonly encryptedSecrets: EncryptedSecrets,
    private readonly pending: PendingActions,
    private readonly settings: Settings,
  ) {}

  /** Creates a secret that becomes a factor only after {@link confirm}. It replaces an earlier unconfirmed secret. */
  async begin(
    tx: EntityManager,
    { userId, sessionId, account }: { userId: string; sessionId: string; account: string },
    now: Date,
  ): Promise<TotpEnrolment> {
    const secret = random.bytes(SECRET_BYTES);
    const encrypted = this.encryptedSecrets.encrypt(secret, contextOf(userId), now.getTime());
    const expiresAt = new Date(now.getTime() + ENROLMENT_MS);
    const createdAt = await this.pending.requestedAt(tx, { userId, sessionId });
    await this.stored.saveEnrolment(tx, { userId, sessionId, secret: encrypted, createdAt, expiresAt });
    return {
      secret: base32Of(secret),
      otpauthUrl: otpauthUrlOf(secret, { issuer: this.issuer, account }),
      expiresAt,
    };
  }

  /**
   * The first code makes the secret the user's factor and replaces an existing one. The code is used up. The session
   * that started the enrolment may confirm it again for a short time, with that code or a later one.
   *
   * @returns `none` when this session has not started an enrolment, started it too long ago, or has changed its
   * credentials since
   */
  async confirm(
    tx: EntityManager,
    { userId, sessionId, code }: { userId: string; sessionId: string; code: string },
    now: Date,
  ): Promise<Confirmation> {
    const begun = await this.stored.findEnrolment(tx, { userId, sessionId }, now);
    if (!begun) return 'none';
    const action = { userId, sessionId, requestedAt: begun.created_at };
    if (!(await this.pending.isAuthorized(tx, action))) return 'none';
    const step = this.stepOf(code, userId, begun, now);
    if (step === null) return 'wrong';
    if (begun.confirmed)
      return (await this.stored.useStep(tx, userId, step, { again: true })) ? 'again' : 'wrong';
    await this.stored.saveFactor(tx, userId, begun, step, now);
    const expiresAt = new Date(now.getTime() + CONFIRMABLE_AGAIN_MS);
    // This confirmation voids the earlier requests of the session. The enrolment gets a later time, so that it can be
    // confirmed again.
    await this.stored.markConfirmed(tx, userId, new Date(now.getTime() + 1), expiresAt);
    return 'confirmed';
  }

  /** When the factor was added; null when the user has none. */
  addedAt(tx: EntityManager, userId: string): Promise<Date | null> {
    return this.stored.addedAt(tx, userId);
  }

  /**
   * Uses up a code: the server accepts neither it nor an older one again (RFC 6238 5.2).
   *
   * @returns whether the code was right and new
   */
  async use(tx: EntityManager, userId: string, code: string, now: Date): Promise<boolean> {
    const kept = await this.stored.findSecret(tx, userId);
    const step = kept ? this.stepOf(code, userId, kept, now) : null;
    return step !== null && this.stored.useStep(tx, userId, step);
  }

  /**
   * Removes the factor, and an enrolment in progress.
   *
   * @returns whether the user had the factor
   */
  remove(tx: EntityManager, userId: string): Promise<boolean> {
    return this.stored.delete(tx, userId);
  }

  private stepOf(code: string, userId: string, { secret, key_id }: SecretRow, now: Date): number | null {
    const digits = code.replaceAll(/\s/g, '');
    if (!TOTP_CODE.test(digits)) return null;
    const opened = this.encryptedSecrets.decrypt({ sealed: secret, keyId: key_id }, contextOf(userId));
    return stepOf(digits, opened, now.getTime());
  }

  /** The name that apps show, the same as in mails. */
  private get issuer(): string {
    const { mailFrom, tokenIssuer } = this.settings;
    return mailFrom.split('<')[0]!.trim().replaceAll(':', ' ') || tokenIssuer;
  }
}

/** The context for which a secret is encrypted. */
export function contextOf(userId: string): string {
  return `totp secret of ${userId}`;
}
