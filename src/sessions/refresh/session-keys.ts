import type { EntityManager } from 'typeorm';
import { random } from '../../platform/runtime/random.js';
import type { SupersededKeys, KeyChange } from './superseded-keys.js';
import type { LockedSession } from '../session.repository.js';
import { initialRotation, type RotationState } from './rotation.js';
import { KEY_VERSIONS } from '../token-id.js';

/** The keys of a session: the nonce and rotation of its refresh tokens, and the version of these keys. */
export interface SessionKeys {
  nonce: Buffer;
  rotation: RotationState;
  keyVersion: number;
}

/**
 * Gives a locked session new keys. The new nonce invalidates all its refresh tokens. The new key version invalidates all
 * its access tokens on the session tier. The superseded keys stay on the row for a client that loses the response:
 * see `superseded-keys.ts`.
 */
export async function rotateSessionKeys(
  tx: EntityManager,
  locked: LockedSession,
  change: KeyChange,
): Promise<SessionKeys> {
  const { id, keyVersion: before } = locked.session;
  const keys = {
    nonce: random.bytes(16),
    rotation: initialRotation(),
    keyVersion: (before + 1) % KEY_VERSIONS,
  };
  await tx.query(
    'update sessions set refresh_nonce = $2, rotation = $3, key_version = $4, superseded_keys = $5 where id = $1',
    [
      id,
      keys.nonce,
      JSON.stringify(keys.rotation),
      keys.keyVersion,
      JSON.stringify(supersededOf(locked, change)),
    ],
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
  const kept = { ...supersededOf(locked, change), delivered: true };
  await tx.query('update sessions set superseded_keys = $2 where id = $1', [
    locked.session.id,
    JSON.stringify(kept),
  ]);
}

function supersededOf({ nonce, rotation, now, session }: LockedSession, change: KeyChange): SupersededKeys {
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
