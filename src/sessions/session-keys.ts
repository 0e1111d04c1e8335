import type { EntityManager } from 'typeorm';
import { random } from '../common/random.js';
import type { FormerKeys } from './former-keys.js';
import { initialRotation, type RotationState } from './rotation.js';
import { EDITIONS } from './token-id.js';

export interface SessionKeys {
  nonce: Buffer;
  rotation: RotationState;
  edition: number;
}

/**
 * New keys for a session under lock. A new nonce ends every refresh token that it ever had, a new edition every access
 * token on the session tier, whoever holds a copy.
 * @param former what a client that loses the answer may go on with; null for nothing
 */
export async function changeKeys(
  tx: EntityManager,
  { id, edition: before }: { id: string; edition: number },
  former: FormerKeys | null,
): Promise<SessionKeys> {
  const keys = { nonce: random.bytes(16), rotation: initialRotation(), edition: (before + 1) % EDITIONS };
  await tx.query(
    'update sessions set refresh_nonce = $2, rotation = $3, edition = $4, former_keys = $5 where id = $1',
    [id, keys.nonce, JSON.stringify(keys.rotation), keys.edition, former && JSON.stringify(former)],
  );
  return keys;
}
