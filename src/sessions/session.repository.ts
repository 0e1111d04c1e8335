import { Inject, Injectable } from '@nestjs/common';
import type { JWK } from 'jose';
import type pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../platform/runtime/clock.js';
import { Problem } from '../platform/api/problem.js';
import type { RequestContext } from '../platform/http/request.js';
import { Settings } from '../platform/settings/settings.js';
import type { Role } from '../roles.js';
import { MAIN_POOL, type Prepared } from '../platform/persistence/database.module.js';
import { waitForLock } from '../platform/persistence/lock-waits.js';
import type { ProfileFields } from '../users/user.schemas.js';
import { UserTransactions } from '../platform/persistence/user-transactions.js';
import { UserRepository } from '../users/user.repository.js';
import type { Ended } from './revocation/end-reason.js';
import type { SupersededKeys } from './refresh/superseded-keys.js';
import type { RotationState } from './refresh/rotation.js';
import { sessionEnded } from './check/session-check.js';
import { shareEpoch } from './revocation/session-epoch.repository.js';
import { judge, type SessionSnapshot } from './check/session-snapshot.js';
import {
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SnapshotRow,
} from './check/session-snapshot.repository.js';
import { renewed, type LockedSession, type StoredSession } from './stored-session.js';

interface StoredRow extends SnapshotRow {
  user_id: string;
  roles: Role[];
  email: string | null;
  display_name: string | null;
  user_created_at: Date;
  refresh_nonce: Buffer;
  rotation: RotationState;
  superseded_keys: SupersededKeys | null;
  token_digest: Buffer;
  device_key: JWK | null;
  binding_version: number;
  key_proofs: number;
  user_agent: string | null;
  now: Date;
}

type SharedRow = SnapshotRow & { now: Date };

const FIND: Prepared = {
  name: 'find session',
  text: `
  select ${SNAPSHOT_COLUMNS}, u.email, u.display_name, u.created_at as user_created_at,
    s.refresh_nonce, s.rotation, s.superseded_keys, s.user_agent, s.device_key, s.key_proofs, d.token_digest, clock_timestamp() as now
  from ${SNAPSHOT_TABLES} where s.id = $1`,
};

const LOCK = `${FIND.text} for no key update of s`;
const LOCK_IF_FREE = `${LOCK} skip locked`;

/** `for key share` does not block refreshes and last-seen updates, but makes the `for update` of a revocation wait. */
const SHARE = `select ${SNAPSHOT_COLUMNS}, clock_timestamp() as now from ${SNAPSHOT_TABLES} where s.id = $1 for key share of s`;
const SHARE_IF_FREE = `${SHARE} skip locked`;

const SAVE_ROTATION: Prepared = {
  name: 'renew session',
  text: `
  update sessions set rotation = $4, last_seen_at = greatest(last_seen_at, $5), ip = $6, user_agent = $7,
    country = $8, latitude = $9, longitude = $10, located_at = $11
  where id = $1 and status = 'active' and rotation = $2 and refresh_nonce = $3 and binding_version = $12`,
};

/** No limit of live sessions is greater. A reader never needs to see more ended ones. */
const MAX_LISTED = 1_000;
const ORDER = `order by s.created_at desc, s.id desc limit ${MAX_LISTED}`;
const LIST = `select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.user_id = $1 ${ORDER}`;
const LIST_ACTIVE = `
  select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.user_id = $1 and s.status = 'active' ${ORDER}`;

/**
 * Finds, lists and locks sessions, and saves their rotation. Code that changes a live session locks it first, so that
 * the change and a revocation are serialised.
 *
 * Only the repository files of this folder write the table `sessions`:
 * - this one: the rotation at a refresh, and the known risk signals
 * - `new-session.repository.ts`: the begin, at a login
 * - `binding/session-binding.repository.ts`: the key of the device
 * - `check/session-check.repository.ts`: when a session was last seen
 * - `refresh/session-keys.repository.ts`: keys, and proofs of identity
 * - `revocation/session-end.repository.ts`: the end by a revocation
 * - `cleanup/session-cleanup.repository.ts`: the end by age, and the removal
 */
@Injectable()
export class SessionRepository {
  constructor(
    @Inject(MAIN_POOL) private readonly pool: pg.Pool,
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /** The sessions of one user, newest first: those whose record is active, or all. */
  async list(userId: string, { onlyActive }: { onlyActive: boolean }): Promise<SessionSnapshot[]> {
    const rows = onlyActive
      ? await this.database.manager.query<SnapshotRow[]>(LIST_ACTIVE, [userId])
      : await this.database.manager.query<SnapshotRow[]>(LIST, [userId]);
    return rows.map(snapshotOf);
  }

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
    const locked = this.foundIn(row);
    const ended = this.endedState(locked);
    if (ended) throw sessionEnded(ended, { userId, sessionId });
    return { ...locked, user };
  }

  private async lock(tx: EntityManager, sessionId: string): Promise<StoredRow | undefined> {
    const [free] = await tx.query<StoredRow[]>(LOCK_IF_FREE, [sessionId]);
    if (free) return free;
    const [row] = await waitForLock(tx.dataSource, () => tx.query<StoredRow[]>(LOCK, [sessionId]));
    return row;
  }

  /** Locks a session against its end, but not against refreshes. `now` is the database's time. */
  async share(
    tx: EntityManager,
    sessionId: string,
  ): Promise<{ session: SessionSnapshot; now: number } | null> {
    let [row] = await tx.query<SharedRow[]>(SHARE_IF_FREE, [sessionId]);
    if (!row) [row] = await waitForLock(tx.dataSource, () => tx.query<SharedRow[]>(SHARE, [sessionId]));
    return row ? { session: snapshotOf(row), now: this.clock.fromDatabase(row.now) } : null;
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
      deviceKey: row.device_key,
      bindingVersion: row.binding_version,
      keyProofs: row.key_proofs,
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
   * @returns false when the session has ended or its rotation or its device key has changed since it was found; then nothing is written
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
      stored.bindingVersion,
    ];
    if (!tx) {
      const statement = () => this.pool.query({ ...SAVE_ROTATION, values });
      return (await this.transactions.attempt(stored.session.userId, statement)).rowCount === 1;
    }
    const [, saved] = await tx.query<[unknown, number]>(SAVE_ROTATION.text, values);
    return saved === 1;
  }

  /** Saves the risk signals that are known for a session. */
  async saveDeviations(tx: EntityManager, id: string, deviations: readonly string[]): Promise<void> {
    await tx.query('update sessions set deviations = $2 where id = $1', [id, deviations]);
  }
}

function ownerOf(row: StoredRow): ProfileFields {
  const { user_id: id, email, display_name: displayName, roles, user_created_at: createdAt } = row;
  return { id, email, displayName, roles, createdAt };
}
