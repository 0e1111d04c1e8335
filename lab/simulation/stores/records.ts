import type { ApiKeySnapshot } from '../../../src/auth/api-keys/api-key.js';
import { random } from '../../../src/platform/runtime/random.js';
import type { Role } from '../../../src/roles.js';
import type { Scope } from '../../../src/scopes.js';
import type { SessionSnapshot } from '../../../src/sessions/check/session-snapshot.js';
import { INITIAL_SNAPSHOT } from '../../../src/sessions/check/session-snapshot.repository.js';
import { initialRotation, type RotationState } from '../../../src/sessions/refresh/rotation.js';

/** The rows of the tables, without the end that follows from the user or from the end of everyone's sessions. */
export interface UserRow {
  id: string;
  roles: Role[];
  bannedAt: number | null;
  /** No session that was created up to this time is alive. */
  notBefore: number;
}

export interface SessionRow {
  snapshot: SessionSnapshot;
  rotation: RotationState;
  revocationSeq: string | null;
}

type WithoutRoles<Snapshot> = Omit<Snapshot, 'ownerRoles'>;
interface Changed {
  revocationSeq: string | null;
}
export type KeyRow = WithoutRoles<ApiKeySnapshot> & Changed;
/** The columns of a grant on which the promises depend. The part of the OAuth provider stores more. */
export interface GrantRow extends Changed {
  id: string;
  userId: string;
  /** The session that the grant ends with; null for none. */
  sessionId: string | null;
  createdAt: number;
  ended: { reason: string; at: number } | null;
}

export function newSessionRow(userId: string, now: number): SessionRow {
  const snapshot: SessionSnapshot = {
    ...INITIAL_SNAPSHOT,
    id: random.uuidAt(now),
    userId,
    roles: [],
    transport: 'cookie',
    createdAt: now,
    lastSeenAt: now,
    authenticatedAt: now,
    device: { id: userId, name: 'a device', browser: null, os: null, firstSeenAt: now },
  };
  return { snapshot, rotation: initialRotation(), revocationSeq: null };
}

export function newKeyRow(
  owned: Pick<KeyRow, 'id' | 'userId' | 'digest'>,
  scopes: Scope[],
  now: number,
): KeyRow {
  return {
    ...owned,
    name: 'a key',
    scopes,
    networks: [],
    requestsPerMinute: null,
    rotation: 0,
    rotatedAt: null,
    previousDigest: null,
    previousUntil: null,
    createdAt: now,
    expiresAt: null,
    ended: null,
    revocationSeq: null,
  };
}
