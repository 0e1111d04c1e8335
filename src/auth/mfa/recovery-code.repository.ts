import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import { digestOfRecoveryCode, mintRecoveryCode, RECOVERY_CODES } from './recovery-code.js';

/**
 * Recovery codes, for users who have lost their second factor, and all statements of their table. Each works once. All
 * methods run in the caller's transaction, under the user's lock.
 */
@Injectable()
export class RecoveryCodeRepository {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { id }) => this.void(tx, id));
  }

  /**
   * Issues a new set of codes and voids the old one.
   *
   * @returns the codes, which are not stored
   */
  async issue(tx: EntityManager, userId: string): Promise<string[]> {
    const codes = Array.from({ length: RECOVERY_CODES }, mintRecoveryCode);
    await this.void(tx, userId);
    await tx.query('insert into recovery_codes (user_id, digest) select $1, unnest($2::bytea[])', [
      userId,
      codes.map((code) => digestOfRecoveryCode(userId, code)),
    ]);
    return codes;
  }

  /**
   * Deletes the code, so that it cannot be used again.
   *
   * @returns whether the code existed
   */
  async use(tx: EntityManager, userId: string, code: string): Promise<boolean> {
    const digest = digestOfRecoveryCode(userId, code);
    if (!digest) return false;
    const [, used] = await tx.query<[unknown, number]>(
      'delete from recovery_codes where user_id = $1 and digest = $2',
      [userId, digest],
    );
    return used === 1;
  }

  /** The number of unused codes. */
  async count(tx: EntityManager, userId: string): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(
      'select count(*)::int as count from recovery_codes where user_id = $1',
      [userId],
    );
    return row!.count;
  }

  /** Deletes all codes of the user. */
  async void(tx: EntityManager, userId: string): Promise<void> {
    await tx.query('delete from recovery_codes where user_id = $1', [userId]);
  }
}
