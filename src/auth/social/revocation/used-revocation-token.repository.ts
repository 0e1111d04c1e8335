import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** Expired tokens that one statement removes. */
const PURGE_BATCH = 100;

const USE = `
  insert into used_revocation_tokens (digest, expires_at)
  select $1, $2::timestamptz where $2 > $3::timestamptz on conflict do nothing`;

/** All statements of the table `used_revocation_tokens`. It names no user, so a deleted account leaves nothing in it. */
@Injectable()
export class UsedRevocationTokenRepository {
  /**
   * Marks a token as used, in the transaction of its effect. A second use waits for that transaction. A token that was
   * removed because it has expired is refused by the same clock.
   *
   * @returns false when the token was used before, or has expired
   */
  async insert(
    tx: EntityManager,
    { digest, expiresAt }: { digest: Buffer; expiresAt: Date },
    now: Date,
  ): Promise<boolean> {
    const rows = await tx.query<unknown[]>(`${USE} returning digest`, [digest, expiresAt, now]);
    return rows.length === 1;
  }

  async deleteExpired(tx: EntityManager, now: Date): Promise<void> {
    await tx.query(
      `delete from used_revocation_tokens where digest in (
         select digest from used_revocation_tokens where expires_at <= $1 limit ${PURGE_BATCH} for update skip locked)`,
      [now],
    );
  }
}
