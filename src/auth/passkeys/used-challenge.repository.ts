import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** Expired challenges that one statement removes. */
const PURGE_BATCH = 100;

const USE = `
  insert into used_passkey_challenges (nonce, expires_at)
  select $1, $2::timestamptz where $2 > $3::timestamptz on conflict do nothing`;

/** All statements of the table `used_passkey_challenges`. It names no user, so a deleted account leaves nothing in it. */
@Injectable()
export class UsedChallengeRepository {
  /** @returns false when the challenge was used before, or has expired */
  async insert(
    tx: EntityManager,
    { nonce, expiresAt }: { nonce: Buffer; expiresAt: Date },
    now: Date,
  ): Promise<boolean> {
    const rows = await tx.query<unknown[]>(`${USE} returning nonce`, [nonce, expiresAt, now]);
    return rows.length === 1;
  }

  async deleteExpired(tx: EntityManager, now: Date): Promise<void> {
    await tx.query(
      `delete from used_passkey_challenges where nonce in (
         select nonce from used_passkey_challenges where expires_at <= $1 limit ${PURGE_BATCH} for update skip locked)`,
      [now],
    );
  }
}
