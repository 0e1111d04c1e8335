import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import type { SessionOrigin } from '../../sessions/session-factory.js';
import type { Transport } from '../../sessions/session.entity.js';
import type { User } from '../../users/user.entity.js';
import { sha256 } from '../../platform/runtime/sha256.js';
import { LoginChallengeRepository } from './login-challenge.repository.js';

/** The time for a user to find their phone. */
const GOOD_FOR_MS = 5 * 60_000;

/** A login after its first step. It is completed with the same transport and on the same device, or not at all. */
export interface LoginChallenge {
  digest: Buffer;
  userId: string;
  email: string;
  transport: Transport;
  deviceName: string | undefined;
  /** The digest of the device token that came with the password. */
  deviceDigest: Buffer | null;
  /** The outside account of the first step, if it was not a password. */
  origin: SessionOrigin | null;
}

/**
 * Logins with a right password that still need the second factor. A challenge is its transport and 256 random bits.
 * The server stores only the digest. A challenge works at no other endpoint, and opens one session.
 */
@Injectable()
export class LoginChallenges {
  constructor(
    private readonly database: DataSource,
    private readonly stored: LoginChallengeRepository,
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
      origin = null,
    }: {
      transport: Transport;
      deviceName?: string;
      deviceToken: string | null;
      origin?: SessionOrigin | null;
    },
    now: Date,
  ): Promise<{ token: string; expiresIn: number }> {
    await this.stored.deleteExpired(tx, now);
    const token = `${transport}.${random.secret()}`;
    await this.stored.insert(tx, {
      digest: sha256(token),
      userId: user.id,
      passwordDigest: sha256(user.passwordHash ?? ''),
      transport,
      deviceName: deviceName ?? null,
      deviceDigest: deviceToken === null ? null : sha256(deviceToken),
      origin,
      createdAt: await this.pending.requestedAt(tx, { userId: user.id, sessionId: null }),
      expiresAt: new Date(now.getTime() + GOOD_FOR_MS),
    });
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
    await this.stored.delete(tx, digest);
  }

  private async read(tx: EntityManager, digest: Buffer, now: Date): Promise<LoginChallenge | null> {
    const row = await this.stored.findGood(tx, digest, now);
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
      origin: row.origin,
    };
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
