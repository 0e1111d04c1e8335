import { timingSafeEqual } from 'node:crypto';
import type { JWK } from 'jose';
import type { RequestContext } from '../platform/http/request.js';
import type { User } from '../users/user.entity.js';
import type { ProfileFields } from '../users/user.schemas.js';
import type { SessionSnapshot } from './check/session-snapshot.js';
import { digestOfDeviceToken } from './devices/device-recognition.js';
import type { RotationState } from './refresh/rotation.js';
import type { SupersededKeys } from './refresh/superseded-keys.js';

/** A session with its rotation state, as one read found it. */
export interface StoredSession {
  owner: ProfileFields;
  session: SessionSnapshot;
  nonce: Buffer;
  rotation: RotationState;
  superseded: SupersededKeys | null;
  deviceTokenDigest: Buffer;
  deviceKey: JWK | null;
  /** How often the device key was set or removed. */
  bindingVersion: number;
  /** How often the device has proved its key. */
  keyProofs: number;
  userAgent: string | null;
  now: number;
}

/** A live session whose row is locked. */
export interface LockedSession extends StoredSession {
  user: User;
}

/** The session after a refresh or a step-up. */
export function renewed({ session, now }: StoredSession, moved: RequestContext | null): SessionSnapshot {
  const seen = { ...session, lastSeenAt: Math.max(session.lastSeenAt, now) };
  if (!moved) return seen;
  const { ip, place } = moved;
  const location = place?.at ? { ...place.at, at: now } : session.location;
  return { ...seen, ip, country: place?.country ?? null, location };
}

/** Whether this device token belongs to the session's device. The comparison takes constant time. */
export function isDeviceTokenOf({ deviceTokenDigest }: StoredSession, deviceToken: string | null): boolean {
  return deviceToken !== null && timingSafeEqual(digestOfDeviceToken(deviceToken), deviceTokenDigest);
}
