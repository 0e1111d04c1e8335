import type { EntityManager } from 'typeorm';
import { random } from '../../platform/runtime/random.js';
import type { SupersededKeys, KeyChange } from './superseded-keys.js';
import type { LockedSession } from '../session.repository.js';
import { initialRotation, type RotationState } from './rotation.js';
import { EDITIONS } from '../token-id.js';

/** The keys of a session: the nonce and rotation of its refresh tokens, and the edition of its access tokens. */
export interface SessionKeys {
  nonce: Buffer;
  rotation: RotationState;
  edition: number;
}

/**
 * Gives a locked session new keys. The new nonce invalidates all its refresh tokens. The new edition invalidates all
 * its access tokens on the session tier. The superseded keys stay on the row for a client that loses the response:
 * see `superseded-keys.ts`.
 */
export async function rotateSessionKeys(
  tx: EntityManager,
  locked: LockedSession,
  change: KeyChange,
): Promise<SessionKeys> {
  const { id, edition: before } = locked.session;
  const keys = { nonce: random.bytes(16), rotation: initialRotation(), edition: (before + 1) % EDITIONS };
  await tx.query(
    'update sessions set refresh_nonce = $2, rotation = $3, edition = $4, former_keys = $5 where id = $1',
    [id, keys.nonce, JSON.stringify(keys.rotation), keys.edition, JSON.stringify(formerOf(locked, change))],
  );
  return keys;
}

/**
 * Records a change of credentials in a session that keeps its keys. Keys superseded by an earlier step-up become
 * invalid.
 */
export async function keepSessionKeys(
  tx: EntityManager,
  locked: LockedSession,
  change: KeyChange,
): Promise<void> {
  const kept = { ...formerOf(locked, change), delivered: true };
  await tx.query('update sessions set former_keys = $2 where id = $1', [
    locked.session.id,
    JSON.stringify(kept),
  ]);
}

function formerOf({ nonce, rotation, now, session }: LockedSession, change: KeyChange): SupersededKeys {
  const { authenticatedAt, secondFactorAt, deviations } = session;
  return {
    change,
    nonce: nonce.toString('base64'),
    rotation,
    changedAt: now,
    authenticatedAt,
    secondFactorAt,
    deviations,
    delivered: false,
    resumed: false,
  };
}
