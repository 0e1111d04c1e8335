import { Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { deriveKey } from '../../platform/runtime/derive-key.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { KeyStore } from '../../platform/keys/key-store.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { PRODUCT } from '../../product.js';
import { UsedChallengeRepository } from './used-challenge.repository.js';

export type ChallengePurpose = 'enrol' | 'login' | 'step_up';

/** The time for a user to find and touch a security key (WebAuthn 15.1 suggests five minutes). */
export const CHALLENGE_LIFETIME_MS = 5 * 60_000;
const NONCE_BYTES = 32;
const EXPIRY_BYTES = 6;
/** In base64url: the nonce, its expiry in milliseconds since the epoch, and a MAC over both. */
const SHAPE = /^[A-Za-z0-9_-]{94}$/;

/** An authenticated challenge. */
export interface Challenge {
  nonce: Buffer;
  issuedAt: Date;
  expiresAt: Date;
}

/**
 * The challenges that authenticators sign. The server stores nothing when it issues a challenge. The challenge
 * contains its expiry. A MAC with a secret of the key file shows that this server issued it, for which purpose and
 * for which holder. Only used challenges are stored, so that each works once.
 */
@Injectable()
export class PasskeyChallenges {
  constructor(
    private readonly used: UsedChallengeRepository,
    private readonly clock: Clock,
    private readonly keys: KeyStore,
  ) {}

  /**
   * Issues a challenge for five minutes.
   *
   * @param holder the only party that may answer: a session's id, or a secret that only the requesting client gets
   */
  async issue(tx: EntityManager, purpose: ChallengePurpose, holder: string): Promise<string> {
    const now = (await databaseNow(tx, this.clock)).getTime();
    const expiry = Buffer.alloc(EXPIRY_BYTES);
    expiry.writeUIntBE(now + CHALLENGE_LIFETIME_MS, 0, EXPIRY_BYTES);
    const content = Buffer.concat([random.bytes(NONCE_BYTES), expiry]);
    const seal = mac(this.keys.mintingSecret(now), content, purpose, holder);
    return Buffer.concat([content, seal]).toString('base64url');
  }

  /**
   * Parses and authenticates a challenge. It does not check the expiry; {@link use} does.
   *
   * @returns null when this server did not issue it for this purpose and holder
   */
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

  /**
   * Marks the challenge as used, in the transaction of the action.
   *
   * @returns false when it was used before, or has expired
   */
  async use(tx: EntityManager, challenge: Challenge): Promise<boolean> {
    const now = await databaseNow(tx, this.clock);
    await this.used.deleteExpired(tx, now);
    return this.used.insert(tx, challenge, now);
  }
}

function mac(secret: Buffer, content: Buffer, purpose: ChallengePurpose, holder: string): Buffer {
  return deriveKey(secret, {
    salt: content,
    purpose: `${PRODUCT.keyPurpose.passkeyChallenge} ${purpose} ${holder}`,
  });
}
