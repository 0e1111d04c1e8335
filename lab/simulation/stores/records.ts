import type { ApiKeySnapshot } from '../../../src/auth/api-keys/api-key.js';
import type { GrantSnapshot } from '../../../src/auth/oauth/grant.js';
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
type Changed = { revocationSeq: string | null };
export type KeyRow = WithoutRoles<ApiKeySnapshot> & Changed;
export type GrantRow = WithoutRoles<GrantSnapshot> & Changed;

const YEAR_MS = 365 * 24 * 3_600_000;

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

/** @param sessionId the session with which the grant ends; null for none */
export function newGrantRow(userId: string, sessionId: string | null, now: number): GrantRow {
  return {
    id: random.uuidAt(now),
    userId,
    clientId: 'app',
    clientName: 'an app',
    scopes: [],
    sessionId,
    createdAt: now,
    expiresAt: now + YEAR_MS,
    ended: null,
    revocationSeq: null,
  };
}
