import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { Prepared } from '../../platform/persistence/database.module.js';
import { random } from '../../platform/runtime/random.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import type { LockedSession } from '../stored-session.js';
import { KEY_VERSIONS } from '../token-id.js';
import { initialRotation, type RotationState } from './rotation.js';
import type { SupersededKeys, KeyChange } from './superseded-keys.js';

/**
 * The statements that change the keys of a session and its proofs of identity. `session.repository.ts` says where the
 * others are.
 */

const SAVE_DELIVERY: Prepared = {
  name: 'record delivered keys',
  text: `
  update sessions set superseded_keys = jsonb_set(superseded_keys, '{delivered}', 'true')
  where id = $1 and key_version = $2 and superseded_keys @> '{"delivered": false}'`,
};

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

/** Records that a request has presented an access token of this key version. */
export async function saveDelivery(pool: pg.Pool, id: string, keyVersion: number): Promise<void> {
  await pool.query({ ...SAVE_DELIVERY, values: [id, keyVersion] });
}

type Proofs = Pick<SessionSnapshot, 'id' | 'authenticatedAt' | 'secondFactorAt'>;

/** Saves when the user last proved their identity in a session. */
export async function saveProofs(
  tx: EntityManager,
  { id, authenticatedAt, secondFactorAt }: Proofs,
): Promise<void> {
  await tx.query('update sessions set authenticated_at = $2, second_factor_at = $3 where id = $1', [
    id,
    new Date(authenticatedAt),
    secondFactorAt && new Date(secondFactorAt),
  ]);
}

/** Same as {@link saveProofs}, and voids what the session has requested up to its last-seen time. */
export async function saveProofsAndVoidRequests(
  tx: EntityManager,
  { id, authenticatedAt, secondFactorAt, lastSeenAt }: Proofs & Pick<SessionSnapshot, 'lastSeenAt'>,
): Promise<void> {
  await tx.query(
    `update sessions set authenticated_at = $2, second_factor_at = $3,
       pending_not_before = greatest(pending_not_before, $4) where id = $1`,
    [id, new Date(authenticatedAt), secondFactorAt && new Date(secondFactorAt), new Date(lastSeenAt)],
  );
}

/** Returns a session to the proofs and risk signals of its superseded keys, because a client continues with them. */
export async function resumeSupersededKeys(
  tx: EntityManager,
  { id, authenticatedAt, secondFactorAt, deviations }: Proofs & Pick<SessionSnapshot, 'deviations'>,
  now: number,
): Promise<void> {
  await tx.query(
    `update sessions set authenticated_at = $2, second_factor_at = $3, deviations = $4,
       last_seen_at = greatest(last_seen_at, $5),
       superseded_keys = jsonb_set(superseded_keys, '{resumed}', 'true') where id = $1`,
    [id, new Date(authenticatedAt), secondFactorAt && new Date(secondFactorAt), deviations, new Date(now)],
  );
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
