import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountDeletions } from '../../../platform/persistence/account-deletions.js';
import type { EncryptedSecret } from './encrypted-secrets.js';

/** An encrypted secret as PostgreSQL returns it. */
export interface SecretRow {
  secret: Buffer;
  key_id: string;
}

/** An enrolment that has not expired. */
export type EnrolmentRow = SecretRow & { created_at: Date; confirmed: boolean };

/** The number of factors that {@link TotpRepository.lockOutdated} locks, if there are as many. */
export const OUTDATED_BATCH = 100;

/** All statements of the tables `totp_factors` and `totp_enrolments`. */
@Injectable()
export class TotpRepository {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { id }) => this.delete(tx, id));
  }

  /** Replaces an earlier enrolment of the user. */
  async saveEnrolment(
    tx: EntityManager,
    {
      userId,
      sessionId,
      secret,
      createdAt,
      expiresAt,
    }: {
      userId: string;
      sessionId: string;
      secret: EncryptedSecret;
      createdAt: Date;
      expiresAt: Date;
    },
  ): Promise<void> {
    await tx.query(
      `insert into totp_enrolments (user_id, session_id, secret, key_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (user_id) do update
         set session_id = $2, secret = $3, key_id = $4, created_at = $5, expires_at = $6, confirmed = false`,
      [userId, sessionId, secret.sealed, secret.keyId, createdAt, expiresAt],
    );
  }

  async findEnrolment(
    tx: EntityManager,
    { userId, sessionId }: { userId: string; sessionId: string },
    now: Date,
  ): Promise<EnrolmentRow | null> {
    const [begun] = await tx.query<EnrolmentRow[]>(
      `select secret, key_id, created_at, confirmed from totp_enrolments
       where user_id = $1 and session_id = $2 and expires_at > $3`,
      [userId, sessionId, now],
    );
    return begun ?? null;
  }

  async markConfirmed(tx: EntityManager, userId: string, createdAt: Date, expiresAt: Date): Promise<void> {
    await tx.query(
      'update totp_enrolments set confirmed = true, created_at = $2, expires_at = $3 where user_id = $1',
      [userId, createdAt, expiresAt],
    );
  }

  /** Replaces an earlier factor of the user. */
  async saveFactor(
    tx: EntityManager,
    userId: string,
    { secret, key_id }: SecretRow,
    step: number,
    now: Date,
  ): Promise<void> {
    await tx.query(
      `insert into totp_factors (user_id, secret, key_id, last_step, created_at) values ($1, $2, $3, $4, $5)
       on conflict (user_id) do update set secret = $2, key_id = $3, last_step = $4, created_at = $5`,
      [userId, secret, key_id, step, now],
    );
  }

  /** When the factor was added; null when the user has none. */
  async addedAt(tx: EntityManager, userId: string): Promise<Date | null> {
    const [factor] = await tx.query<{ created_at: Date }[]>(
      'select created_at from totp_factors where user_id = $1',
      [userId],
    );
    return factor?.created_at ?? null;
  }

  /** The secret of the factor; null when the user has none. */
  async findSecret(tx: EntityManager, userId: string): Promise<SecretRow | null> {
    const [kept] = await tx.query<SecretRow[]>('select secret, key_id from totp_factors where user_id = $1', [
      userId,
    ]);
    return kept ?? null;
  }

  /**
   * Uses up the code of a time step, by compare-and-set.
   *
   * @param again also accepts the last used step
   * @returns false when the step or a later one was used before
   */
  async useStep(tx: EntityManager, userId: string, step: number, { again = false } = {}): Promise<boolean> {
    const [, used] = await tx.query<[unknown, number]>(
      'update totp_factors set last_step = $2 where user_id = $1 and (last_step < $2 or $3 and last_step = $2)',
      [userId, step, again],
    );
    return used === 1;
  }

  /**
   * Removes the factor, and an enrolment in progress.
   *
   * @returns whether the user had the factor
   */
  async delete(tx: EntityManager, userId: string): Promise<boolean> {
    await tx.query('delete from totp_enrolments where user_id = $1', [userId]);
    const [, removed] = await tx.query<[unknown, number]>('delete from totp_factors where user_id = $1', [
      userId,
    ]);
    return removed === 1;
  }

  /** Locks the next factors whose secret is encrypted with another key, in the order of their users, after the given one. */
  lockOutdated(
    tx: EntityManager,
    keyId: string,
    after: string,
  ): Promise<(SecretRow & { user_id: string })[]> {
    return tx.query(
      `select user_id, secret, key_id from totp_factors where key_id <> $1 and user_id > $2
       order by user_id limit ${OUTDATED_BATCH} for update skip locked`,
      [keyId, after],
    );
  }

  async replaceSecret(tx: EntityManager, userId: string, { sealed, keyId }: EncryptedSecret): Promise<void> {
    await tx.query('update totp_factors set secret = $2, key_id = $3 where user_id = $1', [
      userId,
      sealed,
      keyId,
    ]);
  }
}
