import type { JWK } from 'jose';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { Prepared } from '../../platform/persistence/database.module.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';

/** The statements that change the device key of a session. `session.repository.ts` says where the others are. */

const COUNT_PROOF: Prepared = {
  name: 'count device key proof',
  text: `
  update sessions set key_proofs = key_proofs + 1
  where id = $1 and key_proofs = $2 and binding_version = $3 and device_key is not null and status = 'active'`,
};

/** Sets or removes the device key of a locked session. */
export async function saveDeviceKey(
  tx: EntityManager,
  { id }: Pick<SessionSnapshot, 'id'>,
  key: JWK | null,
  now: number,
): Promise<void> {
  await tx.query(
    `update sessions set device_key = $2, bound_at = $3, binding_version = binding_version + 1 where id = $1`,
    [id, key && JSON.stringify(key), key && new Date(now)],
  );
}

/**
 * Counts a proof of the device key.
 *
 * @param proofs how many the device had given when its challenge was made
 * @returns false when the challenge was answered before, or the key has changed, or the session has ended
 */
export async function countProof(
  pool: pg.Pool,
  id: string,
  proofs: number,
  bindingVersion: number,
): Promise<boolean> {
  const { rowCount } = await pool.query({ ...COUNT_PROOF, values: [id, proofs, bindingVersion] });
  return rowCount === 1;
}
