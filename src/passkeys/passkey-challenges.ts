import { Injectable } from '@nestjs/common';
import { hkdfSync, timingSafeEqual } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Clock } from '../common/clock.js';
import { random } from '../common/random.js';
import { KeyStore } from '../config/key-store.js';
import { databaseNow } from '../database/database-now.js';

export type ChallengePurpose = 'enrol' | 'login' | 'step_up';

/** A person has so long to find their key and touch it (WebAuthn 15.1 suggests five minutes). */
export const CHALLENGE_LIFETIME_MS = 5 * 60_000;
const NONCE_BYTES = 32;
const EXPIRY_BYTES = 6;
const MAC_BYTES = 32;
/** The nonce, its expiry in ms since the epoch, and a MAC over both, in base64url. */
const SHAPE = /^[A-Za-z0-9_-]{94}$/;
/** That one statement removes, of those that have expired. */
const PURGE_BATCH = 100;

export interface Challenge {
  nonce: Buffer;
  issuedAt: Date;
  expiresAt: Date;
}

const USE = `
  insert into used_passkey_challenges (nonce, expires_at)
  select $1, $2::timestamptz where $2 > $3::timestamptz on conflict do nothing`;

/**
 * What an authenticator is asked to sign. Nothing is kept of a challenge that is handed out: it says itself until when it
 * is good, and a MAC by a secret of the key file says that it is ours, for what, and for whom. Only those
 * that have succeeded are written down, so that they succeed once.
 */
@Injectable()
export class PasskeyChallenges {
  constructor(
    private readonly clock: Clock,
    private readonly keys: KeyStore,
  ) {}

  /** @param holder who alone may answer: a session's id, or a secret that only the one who asks is given */
  async issue(tx: EntityManager, purpose: ChallengePurpose, holder: string): Promise<string> {
    const now = (await databaseNow(tx, this.clock)).getTime();
    const expiry = Buffer.alloc(EXPIRY_BYTES);
    expiry.writeUIntBE(now + CHALLENGE_LIFETIME_MS, 0, EXPIRY_BYTES);
    const content = Buffer.concat([random.bytes(NONCE_BYTES), expiry]);
    const seal = mac(this.keys.mintingSecret(now), content, purpose, holder);
    return Buffer.concat([content, seal]).toString('base64url');
  }

  /** @returns null for what was not issued here for this purpose and holder. Its time is judged by {@link use}. */
  read(challenge: string, purpose: ChallengePurpose, holder: string): Challenge | null {
    if (!SHAPE.test(challenge)) return null;
    const bytes = Buffer.from(challenge, 'base64url');
    const content = bytes.subarray(0, NONCE_BYTES + EXPIRY_BYTES);
    const shown = bytes.subarray(NONCE_BYTES + EXPIRY_BYTES);
    const secrets = this.keys.verifyingSecrets(this.clock.now());
    const isOurs = secrets.some((secret) => timingSafeEqual(shown, mac(secret, content, purpose, holder)));
    if (!isOurs) return null;
    const expiry = content.readUIntBE(NONCE_BYTES, EXPIRY_BYTES);
    const [issuedAt, expiresAt] = [new Date(expiry - CHALLENGE_LIFETIME_MS), new Date(expiry)];
    return { nonce: content.subarray(0, NONCE_BYTES), issuedAt, expiresAt };
  }

  /** Uses it up, in the transaction of what it is used for. @returns false when it has been, or is too old */
  async use(tx: EntityManager, { nonce, expiresAt }: Challenge): Promise<boolean> {
    const now = await databaseNow(tx, this.clock);
    await tx.query(
      `delete from used_passkey_challenges where nonce in (
         select nonce from used_passkey_challenges where expires_at <= $1 limit ${PURGE_BATCH} for update skip locked)`,
      [now],
    );
    const rows = await tx.query<unknown[]>(`${USE} returning nonce`, [nonce, expiresAt, now]);
    return rows.length === 1;
  }
}

function mac(secret: Buffer, content: Buffer, purpose: ChallengePurpose, holder: string): Buffer {
  const info = `drawbridge passkey challenge v1 ${purpose} ${holder}`;
  return Buffer.from(hkdfSync('sha256', secret, content, info, MAC_BYTES));
}
