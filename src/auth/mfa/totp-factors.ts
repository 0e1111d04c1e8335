import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { random } from '../../platform/runtime/random.js';
import { Settings } from '../../platform/settings/settings.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { EncryptedSecrets } from './encrypted-secrets.js';
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

interface KeptSecret {
  secret: Buffer;
  key_id: string;
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
    const { sealed, keyId } = this.encryptedSecrets.encrypt(secret, contextOf(userId), now.getTime());
    const expiresAt = new Date(now.getTime() + ENROLMENT_MS);
    await tx.query(
      `insert into totp_enrolments (user_id, session_id, secret, key_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (user_id) do update
         set session_id = $2, secret = $3, key_id = $4, created_at = $5, expires_at = $6, confirmed = false`,
      [
        userId,
        sessionId,
        sealed,
        keyId,
        await this.pending.requestedAt(tx, { userId, sessionId }),
        expiresAt,
      ],
    );
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
    const [begun] = await tx.query<(KeptSecret & { created_at: Date; confirmed: boolean })[]>(
      `select secret, key_id, created_at, confirmed from totp_enrolments
       where user_id = $1 and session_id = $2 and expires_at > $3`,
      [userId, sessionId, now],
    );
    if (!begun) return 'none';
    const action = { userId, sessionId, requestedAt: begun.created_at };
    if (!(await this.pending.isAuthorized(tx, action))) return 'none';
    const step = this.stepOf(code, userId, begun, now);
    if (step === null) return 'wrong';
    if (begun.confirmed) return (await this.useStep(tx, userId, step, { again: true })) ? 'again' : 'wrong';
    await tx.query(
      `insert into totp_factors (user_id, secret, key_id, last_step, created_at) values ($1, $2, $3, $4, $5)
       on conflict (user_id) do update set secret = $2, key_id = $3, last_step = $4, created_at = $5`,
      [userId, begun.secret, begun.key_id, step, now],
    );
    const expiresAt = new Date(now.getTime() + CONFIRMABLE_AGAIN_MS);
    // This confirmation voids the earlier requests of the session. The enrolment gets a later time, so that it can be
    // confirmed again.
    await tx.query(
      'update totp_enrolments set confirmed = true, created_at = $2, expires_at = $3 where user_id = $1',
      [userId, new Date(now.getTime() + 1), expiresAt],
    );
    return 'confirmed';
  }

  /** When the factor was added; null when the user has none. */
  async addedAt(tx: EntityManager, userId: string): Promise<Date | null> {
    const [factor] = await tx.query<{ created_at: Date }[]>(
      'select created_at from totp_factors where user_id = $1',
      [userId],
    );
    return factor?.created_at ?? null;
  }

  /**
   * Uses up a code: the server accepts neither it nor an older one again (RFC 6238 5.2).
   *
   * @returns whether the code was right and new
   */
  async use(tx: EntityManager, userId: string, code: string, now: Date): Promise<boolean> {
    const [kept] = await tx.query<KeptSecret[]>(
      'select secret, key_id from totp_factors where user_id = $1',
      [userId],
    );
    const step = kept ? this.stepOf(code, userId, kept, now) : null;
    return step !== null && this.useStep(tx, userId, step);
  }

  /**
   * Removes the factor, and an enrolment in progress.
   *
   * @returns whether the user had the factor
   */
  async remove(tx: EntityManager, userId: string): Promise<boolean> {
    await tx.query('delete from totp_enrolments where user_id = $1', [userId]);
    const [, removed] = await tx.query<[unknown, number]>('delete from totp_factors where user_id = $1', [
      userId,
    ]);
    return removed === 1;
  }

  /**
   * @param again also accepts the last used code
   * @returns false when the code was used before
   */
  private async useStep(
    tx: EntityManager,
    userId: string,
    step: number,
    { again = false } = {},
  ): Promise<boolean> {
    const [, used] = await tx.query<[unknown, number]>(
      'update totp_factors set last_step = $2 where user_id = $1 and (last_step < $2 or $3 and last_step = $2)',
      [userId, step, again],
    );
    return used === 1;
  }

  private stepOf(code: string, userId: string, { secret, key_id }: KeptSecret, now: Date): number | null {
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
