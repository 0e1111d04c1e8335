import { Inject, Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { Clock } from '../platform/runtime/clock.js';
import { Problem } from '../platform/api/problem.js';
import type { RequestContext } from '../platform/http/request.js';
import { Settings } from '../platform/settings/settings.js';
import { MAIN_POOL, type Prepared } from '../platform/persistence/database.module.js';
import { waitForLock } from '../platform/persistence/lock-waits.js';
import type { User } from '../users/user.entity.js';
import type { ProfileFields } from '../users/user.schemas.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';
import { UserRepository } from '../users/user.repository.js';
import { digestOfDeviceToken } from './devices/device-recognition.js';
import type { Ended } from './revocation/end-reason.js';
import type { SupersededKeys } from './refresh/superseded-keys.js';
import type { RefreshPosition, RotationState } from './refresh/rotation.js';
import { sessionEnded } from './check/session-check.js';
import { shareEpoch } from './revocation/session-epoch.js';
import {
  judge,
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './check/session-snapshot.js';

/** A session with its rotation state, as one read found it. */
export interface StoredSession {
  owner: ProfileFields;
  session: SessionSnapshot;
  nonce: Buffer;
  rotation: RotationState;
  superseded: SupersededKeys | null;
  deviceTokenDigest: Buffer;
  userAgent: string | null;
  now: number;
}

/** A live session whose row is locked. */
export interface LockedSession extends StoredSession {
  user: User;
}

interface StoredRow extends SnapshotRow {
  email: string | null;
  display_name: string | null;
  user_created_at: Date;
  refresh_nonce: Buffer;
  rotation: RotationState;
  superseded_keys: SupersededKeys | null;
  token_digest: Buffer;
  user_agent: string | null;
  now: Date;
}

const FIND: Prepared = {
  name: 'find session',
  text: `
  select ${SNAPSHOT_COLUMNS}, u.email, u.display_name, u.created_at as user_created_at,
    s.refresh_nonce, s.rotation, s.superseded_keys, s.user_agent, d.token_digest, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1`,
};

const HOLD = `${FIND.text} for no key update of s`;
const HOLD_IF_FREE = `${HOLD} skip locked`;

const RENEW: Prepared = {
  name: 'renew session',
  text: `
  update sessions set rotation = $4, last_seen_at = greatest(last_seen_at, $5), ip = $6, user_agent = $7,
    country = $8, latitude = $9, longitude = $10, located_at = $11
  where id = $1 and status = 'active' and rotation = $2 and refresh_nonce = $3`,
};

/**
 * Finds, locks and renews sessions. Code that changes a live session locks it first, so that the change and a
 * revocation are serialised.
 */
@Injectable()
export class SessionRepository {
  constructor(
    @Inject(MAIN_POOL) private readonly pool: pg.Pool,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Locks the user, the global epoch and the session, in this order. All code takes these locks in the same order.
   *
   * @throws Problem `auth.session_ended`, `auth.invalid_token`
   */
  async lockLive(tx: EntityManager, userId: string, sessionId: string): Promise<LockedSession> {
    const user = await this.users.lock(tx, userId);
    await shareEpoch(tx);
    const row = await this.lock(tx, sessionId);
    if (!user || !row) throw new Problem('auth.invalid_token');
    const held = this.foundIn(row);
    const ended = this.endedState(held);
    if (ended) throw sessionEnded(ended, { userId, sessionId });
    return { ...held, user };
  }

  private async lock(tx: EntityManager, sessionId: string): Promise<StoredRow | undefined> {
    const [free] = await tx.query<StoredRow[]>(HOLD_IF_FREE, [sessionId]);
    if (free) return free;
    const [row] = await waitForLock(tx.dataSource, () => tx.query<StoredRow[]>(HOLD, [sessionId]));
    return row;
  }

  /**
   * Finds a live or ended session, without a lock.
   *
   * @param pool the connection pool to use; the main pool when absent
   */
  async find(sessionId: string, pool = this.pool): Promise<StoredSession | null> {
    const { rows } = await pool.query<StoredRow>({ ...FIND, values: [sessionId] });
    return rows[0] ? this.foundIn(rows[0]) : null;
  }

  private foundIn(row: StoredRow): StoredSession {
    return {
      owner: ownerOf(row),
      session: snapshotOf(row),
      nonce: row.refresh_nonce,
      rotation: row.rotation,
      superseded: row.superseded_keys,
      deviceTokenDigest: row.token_digest,
      userAgent: row.user_agent,
      now: this.clock.fromDatabase(row.now),
    };
  }

  /** How the session had ended when it was found; null if it was live. */
  endedState({ session, now }: StoredSession): Ended | null {
    return judge(session, this.settings, now);
  }

  /**
   * Saves the rotation state and the last-seen time of a session.
   *
   * @param tx null runs the statement outside a transaction
   * @param moved the new request context; null keeps the saved one
   * @returns false when the session has ended or its rotation has changed since it was found; then nothing is written
   */
  async saveRotation(
    tx: EntityManager | null,
    stored: StoredSession,
    rotation: RotationState,
    moved: RequestContext | null,
  ): Promise<boolean> {
    const { id, lastSeenAt, ip, country, location } = renewed(stored, moved);
    const values = [
      id,
      JSON.stringify(stored.rotation),
      stored.nonce,
      JSON.stringify(rotation),
      new Date(lastSeenAt),
      ip,
      moved ? moved.userAgent : stored.userAgent,
      country,
      location?.latitude,
      location?.longitude,
      location && new Date(location.at),
    ];
    if (!tx) {
      const statement = () => this.pool.query({ ...RENEW, values });
      return (await this.transactions.attempt(stored.session.userId, statement)).rowCount === 1;
    }
    const [, renewals] = await tx.query<[unknown, number]>(RENEW.text, values);
    return renewals === 1;
  }
}

function ownerOf(row: StoredRow): ProfileFields {
  const { user_id: id, email, display_name: displayName, roles, user_created_at: createdAt } = row;
  return { id, email, displayName, roles, createdAt };
}

/** The session after a renewal. */
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

/**
 * Both sides of a disputed token, for the audit log: the request that presented it, and the session's client until
 * now.
 */
export function evidence(
  { session, rotation, userAgent }: StoredSession,
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
