import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import type { Transport } from '../../sessions/session.entity.js';
import type { User } from '../../users/user.entity.js';
import { sha256 } from '../../platform/runtime/sha256.js';

/** The time for a user to find their phone. */
const GOOD_FOR_MS = 5 * 60_000;
const REMOVED_AT_ONCE = 100;

/** A login after its first step. It is completed with the same transport and on the same device, or not at all. */
export interface LoginChallenge {
  digest: Buffer;
  userId: string;
  email: string;
  transport: Transport;
  deviceName: string | undefined;
  /** The digest of the device token that came with the password. */
  deviceDigest: Buffer | null;
}

interface Row {
  digest: Buffer;
  user_id: string;
  email: string;
  transport: Transport;
  device_name: string | null;
  device_digest: Buffer | null;
  created_at: Date;
}

/** Valid only while the user still has the same password. */
const GOOD = `
  select c.digest, c.user_id, u.email, c.transport, c.device_name, c.device_digest, c.created_at
  from login_challenges c join users u on u.id = c.user_id
  where c.digest = $1 and c.expires_at > $2
    and c.password_digest = sha256(convert_to(u.password_hash, 'UTF8'))`;

/**
 * Logins with a right password that still need the second factor. A challenge is its transport and 256 random bits.
 * The server stores only the digest. A challenge works at no other endpoint, and opens one session.
 */
@Injectable()
export class LoginChallenges {
  constructor(
    private readonly database: DataSource,
    private readonly pending: PendingActions,
    private readonly clock: Clock,
  ) {}

  /**
   * Starts a challenge, under the user's lock. It is valid for five minutes.
   *
   * @returns the token, which is not stored, and its lifetime in seconds
   */
  async begin(
    tx: EntityManager,
    user: Pick<User, 'id' | 'passwordHash'>,
    {
      transport,
      deviceName,
      deviceToken,
    }: { transport: Transport; deviceName?: string; deviceToken: string | null },
    now: Date,
  ): Promise<{ token: string; expiresIn: number }> {
    await this.removeExpired(tx, now);
    const token = `${transport}.${random.secret()}`;
    await tx.query(
      `insert into login_challenges (digest, user_id, password_digest, transport, device_name, device_digest, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        sha256(token),
        user.id,
        sha256(user.passwordHash!),
        transport,
        deviceName ?? null,
        deviceToken === null ? null : sha256(deviceToken),
        await this.pending.requestedAt(tx, { userId: user.id, sessionId: null }),
        new Date(now.getTime() + GOOD_FOR_MS),
      ],
    );
    return { token, expiresIn: GOOD_FOR_MS / 1_000 };
  }

  /** @returns null for a challenge that is unknown, used, expired or void */
  async find(token: string): Promise<LoginChallenge | null> {
    const now = await databaseNow(this.database.manager, this.clock);
    return this.read(this.database.manager, sha256(token), now);
  }

  /** Same as {@link find}, under the user's lock. */
  async isGood(tx: EntityManager, { digest }: LoginChallenge, now: Date): Promise<boolean> {
    return (await this.read(tx, digest, now)) !== null;
  }

  /** Deletes the challenge, so that it cannot be used again. */
  async use(tx: EntityManager, { digest }: LoginChallenge): Promise<void> {
    await tx.query('delete from login_challenges where digest = $1', [digest]);
  }

  private async read(tx: EntityManager, digest: Buffer, now: Date): Promise<LoginChallenge | null> {
    const [row] = await tx.query<Row[]>(GOOD, [digest, now]);
    if (!row) return null;
    const action = { userId: row.user_id, sessionId: null, requestedAt: row.created_at };
    if (!(await this.pending.isAuthorized(tx, action))) return null;
    return {
      digest,
      userId: row.user_id,
      email: row.email,
      transport: row.transport,
      deviceName: row.device_name ?? undefined,
      deviceDigest: row.device_digest,
    };
  }

  private async removeExpired(tx: EntityManager, now: Date): Promise<void> {
    await tx.query(
      `delete from login_challenges where digest in (
         select digest from login_challenges where expires_at <= $1 order by expires_at limit ${REMOVED_AT_ONCE} for update skip locked)`,
      [now],
    );
  }
}

/**
 * Whether a token continues a login of this transport. Its digest covers the whole token, so a client cannot change
 * the transport.
 */
export function isChallengeFor(transport: Transport, token: unknown): boolean {
  return typeof token === 'string' && token.startsWith(`${transport}.`);
}

/** Whether the same device completes the login: if both steps sent a device token, the tokens must be equal. */
export function isSameDevice({ deviceDigest }: LoginChallenge, deviceToken: string | null): boolean {
  return deviceToken === null || deviceDigest === null || sha256(deviceToken).equals(deviceDigest);
}
