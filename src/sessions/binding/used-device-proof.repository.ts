import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { MAIN_POOL, type Prepared } from '../../platform/persistence/database.module.js';

/** Expired proofs that one statement removes. */
const PURGE_BATCH = 100;

const USE: Prepared = {
  name: 'use device proof',
  text: `
  with expired as (
    delete from used_device_proofs where digest in (
      select digest from used_device_proofs where expires_at <= $3::timestamptz limit ${PURGE_BATCH}
      for update skip locked))
  insert into used_device_proofs (digest, expires_at) values ($1, $2::timestamptz) on conflict do nothing`,
};

/**
 * All statements of the table `used_device_proofs`. It names no user, so a deleted account leaves nothing in it. Each use
 * also removes expired proofs.
 */
@Injectable()
export class UsedDeviceProofRepository {
  constructor(@Inject(MAIN_POOL) private readonly pool: pg.Pool) {}

  /**
   * Marks a proof as used. Of several uses at once, one wins.
   *
   * @param proof with its expiry: from then on, every instance refuses the proof for its age
   * @returns false when the proof was used before
   */
  async insert({ digest, expiresAt }: { digest: Buffer; expiresAt: Date }, now: Date): Promise<boolean> {
    const { rowCount } = await this.pool.query({ ...USE, values: [digest, expiresAt, now] });
    return rowCount === 1;
  }
}
