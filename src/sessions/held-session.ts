import { Inject, Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { User } from '../users/user.entity.js';
import { UsersService } from '../users/users.service.js';
import { digestOf } from './devices.service.js';
import type { RefreshPosition, RotationState } from './rotation.js';
import { sessionEnded } from './session-check.js';
import { shareEpoch } from './session-epoch.js';
import {
  judge,
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './session-snapshot.js';

/** A live session under lock, with what rotation needs of it. */
export interface HeldSession {
  user: User;
  session: SessionSnapshot;
  nonce: Buffer;
  rotation: RotationState;
  deviceTokenDigest: Buffer;
  userAgent: string | null;
  now: number;
}

interface HeldRow extends SnapshotRow {
  refresh_nonce: Buffer;
  rotation: RotationState;
  token_digest: Buffer;
  user_agent: string | null;
  now: Date;
}

const HOLD_SESSION = `
  select ${SNAPSHOT_COLUMNS}, s.refresh_nonce, s.rotation, s.user_agent, d.token_digest, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1 for no key update of s`;

const RENEW = `
  update sessions set rotation = $2, last_seen_at = greatest(last_seen_at, $3), ip = $4, user_agent = $5,
    country = $6, latitude = $7, longitude = $8, located_at = $9 where id = $1`;

/** Who changes a session that is to live on holds it, so that its end comes before or after. */
@Injectable()
export class SessionHold {
  constructor(
    private readonly users: UsersService,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * Locks in the order of the house: everyone's epoch, the user, the session.
   * @throws Problem `auth.session_ended`, `auth.invalid_token`
   */
  async live(tx: EntityManager, userId: string, sessionId: string): Promise<HeldSession> {
    await shareEpoch(tx);
    const user = await this.users.lock(tx, userId);
    const [row] = await tx.query<HeldRow[]>(HOLD_SESSION, [sessionId]);
    if (!user || !row) throw new Problem('auth.invalid_token');
    const held = {
      user,
      session: snapshotOf(row),
      nonce: row.refresh_nonce,
      rotation: row.rotation,
      deviceTokenDigest: row.token_digest,
      userAgent: row.user_agent,
      now: this.clock.fromDatabase(row.now),
    };
    const ended = judge(held.session, this.settings, held.now);
    if (ended) throw sessionEnded(ended, { userId, sessionId });
    return held;
  }

  /** Writes down where its rotation stands now, and that it was seen. @param moved where; null leaves it where it was */
  async renew(
    tx: EntityManager,
    held: HeldSession,
    rotation: RotationState,
    moved: Origin | null,
  ): Promise<void> {
    const { id, lastSeenAt, ip, country, location } = renewed(held, moved);
    await tx.query(RENEW, [
      id,
      JSON.stringify(rotation),
      new Date(lastSeenAt),
      ip,
      moved ? moved.userAgent : held.userAgent,
      country,
      location?.latitude,
      location?.longitude,
      location && new Date(location.at),
    ]);
  }
}

/** The session as a renewal leaves it. */
export function renewed({ session, now }: HeldSession, moved: Origin | null): SessionSnapshot {
  const seen = { ...session, lastSeenAt: Math.max(session.lastSeenAt, now) };
  if (!moved) return seen;
  const { ip, place } = moved;
  const location = place?.at ? { ...place.at, at: now } : session.location;
  return { ...seen, ip, country: place?.country ?? null, location };
}

export function isDeviceTokenOf({ deviceTokenDigest }: HeldSession, deviceToken: string | null): boolean {
  return deviceToken !== null && timingSafeEqual(digestOf(deviceToken), deviceTokenDigest);
}

/** Both sides of a dispute, for the audit log: who shows what, and who held the session until now. */
export function evidence(
  { session, rotation, userAgent }: HeldSession,
  token: RefreshPosition,
  { deviceToken, country }: { deviceToken: string | null; country: string | undefined },
) {
  return {
    presented: {
      generation: token.generation,
      sibling: token.sibling,
      withDeviceToken: deviceToken !== null,
      country,
    },
    expected: rotation,
    session: {
      ip: session.ip,
      country: session.country,
      userAgent,
      lastSeenAt: new Date(session.lastSeenAt).toISOString(),
    },
  };
}
