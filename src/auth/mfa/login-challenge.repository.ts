import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { SessionOrigin } from '../../sessions/session-factory.js';
import type { Transport } from '../../sessions/session.entity.js';

const REMOVED_AT_ONCE = 100;

/** A challenge with the present address of its user. */
export interface LoginChallengeRow {
  digest: Buffer;
  user_id: string;
  email: string;
  transport: Transport;
  device_name: string | null;
  device_digest: Buffer | null;
  origin: SessionOrigin | null;
  created_at: Date;
}

export interface NewLoginChallenge {
  digest: Buffer;
  userId: string;
  /** The digest of the password's hash, or of nothing for a user without a password. */
  passwordDigest: Buffer;
  transport: Transport;
  deviceName: string | null;
  deviceDigest: Buffer | null;
  origin: SessionOrigin | null;
  createdAt: Date;
  expiresAt: Date;
}

/** Valid only while the user still has the same password. */
const GOOD = `
  select c.digest, c.user_id, u.email, c.transport, c.device_name, c.device_digest, c.origin, c.created_at
  from login_challenges c join users u on u.id = c.user_id
  where c.digest = $1 and c.expires_at > $2
    and c.password_digest = sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8'))`;

/** All statements of the table `login_challenges`. */
@Injectable()
export class LoginChallengeRepository {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { id }) => this.deleteOf(tx, id));
  }

  async insert(tx: EntityManager, challenge: NewLoginChallenge): Promise<void> {
    await tx.query(
      `insert into login_challenges (digest, user_id, password_digest, transport, device_name, device_digest, origin, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [
        challenge.digest,
        challenge.userId,
        challenge.passwordDigest,
        challenge.transport,
        challenge.deviceName,
        challenge.deviceDigest,
        challenge.origin,
        challenge.createdAt,
        challenge.expiresAt,
      ],
    );
  }

  /** @returns null for a challenge that is unknown or expired, or older than the password */
  async findGood(tx: EntityManager, digest: Buffer, now: Date): Promise<LoginChallengeRow | null> {
    const [row] = await tx.query<LoginChallengeRow[]>(GOOD, [digest, now]);
    return row ?? null;
  }

  async delete(tx: EntityManager, digest: Buffer): Promise<void> {
    await tx.query('delete from login_challenges where digest = $1', [digest]);
  }

  async deleteOf(tx: EntityManager, userId: string): Promise<void> {
    await tx.query('delete from login_challenges where user_id = $1', [userId]);
  }

  /** Deletes some of the expired challenges, of all users. */
  async deleteExpired(tx: EntityManager, now: Date): Promise<void> {
    await tx.query(
      `delete from login_challenges where digest in (
         select digest from login_challenges where expires_at <= $1 order by expires_at limit ${REMOVED_AT_ONCE} for update skip locked)`,
      [now],
    );
  }
}
