import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../common/clock.js';
import type { User } from '../users/user.entity.js';
import { digestOf } from './devices.service.js';
import type { RefreshPosition, RotationState } from './rotation.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './session-snapshot.js';

/** The session under lock, with what rotation needs of it. */
export interface HeldSession {
  user: User;
  session: SessionSnapshot;
  nonce: Buffer;
  rotation: RotationState;
  deviceTokenDigest: Buffer;
  /** Where the session last told of itself; evidence when somebody else turns up. */
  lastContext: { ip: string | null; userAgent: string | null };
  now: number;
}

export interface HeldRow extends SnapshotRow {
  refresh_nonce: Buffer;
  rotation: RotationState;
  token_digest: Buffer;
  user_agent: string | null;
  now: Date;
}

export const HOLD_SESSION = `
  select ${SNAPSHOT_COLUMNS}, s.refresh_nonce, s.rotation, s.user_agent, d.token_digest, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1 for no key update of s`;

export function heldOf(row: HeldRow, user: User, clock: Clock): HeldSession {
  return {
    user,
    session: snapshotOf(row),
    nonce: row.refresh_nonce,
    rotation: row.rotation,
    deviceTokenDigest: row.token_digest,
    lastContext: { ip: row.ip, userAgent: row.user_agent },
    now: clock.fromDatabase(row.now),
  };
}

export function isDeviceTokenOf({ deviceTokenDigest }: HeldSession, deviceToken: string | null): boolean {
  return deviceToken !== null && timingSafeEqual(digestOf(deviceToken), deviceTokenDigest);
}

/** Both sides of a dispute, for the audit log: who shows what, and who held the session until now. */
export function evidence(
  { session, rotation, lastContext }: HeldSession,
  token: RefreshPosition,
  deviceToken: string | null,
) {
  return {
    presented: {
      generation: token.generation,
      sibling: token.sibling,
      withDeviceToken: deviceToken !== null,
    },
    expected: rotation,
    session: { ...lastContext, lastSeenAt: new Date(session.lastSeenAt).toISOString() },
  };
}
