import { Injectable } from '@nestjs/common';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { KeyStore } from '../../platform/keys/key-store.js';
import { Clock } from '../../platform/runtime/clock.js';
import { deriveKey } from '../../platform/runtime/derive-key.js';
import { random } from '../../platform/runtime/random.js';
import { PRODUCT } from '../../product.js';

/** A client signs and sends its next request within seconds. */
const LIFETIME_MS = 5 * 60_000;
const RANDOM_BYTES = 8;
const CONTENT_BYTES = 6 + RANDOM_BYTES; // expiry in milliseconds since the epoch ‖ random
const SHAPE = /^[\w-]{62}$/; // 46 bytes in base64url, with the MAC
const NO_SALT = Buffer.alloc(0);

/**
 * The nonces of DPoP proofs (RFC 9449 8): the time of this server, for clients whose clock is wrong. A nonce contains its
 * expiry, with HMAC-SHA-256 under a key that is derived from the refresh secrets. So every instance recognises it, and
 * none stores it.
 */
@Injectable()
export class DpopNonces {
  constructor(
    private readonly keys: KeyStore,
    private readonly clock: Clock,
  ) {}

  mint(): string {
    const now = this.clock.now();
    const content = Buffer.alloc(CONTENT_BYTES);
    content.writeUIntBE(now + LIFETIME_MS, 0, 6);
    random.bytes(RANDOM_BYTES).copy(content, 6);
    return Buffer.concat([content, mac(this.keys.mintingSecret(now), content)]).toString('base64url');
  }

  /** @returns the expiry in milliseconds since the epoch; null for a text that is no nonce of ours, or an expired one */
  expiryOf(nonce: string): number | null {
    if (!SHAPE.test(nonce)) return null;
    const now = this.clock.now();
    const bytes = Buffer.from(nonce, 'base64url');
    const content = bytes.subarray(0, CONTENT_BYTES);
    const shown = bytes.subarray(CONTENT_BYTES);
    const isOurs = this.keys
      .verifyingSecrets(now)
      .some((secret) => timingSafeEqual(shown, mac(secret, content)));
    const expiresAt = content.readUIntBE(0, 6);
    return isOurs && now < expiresAt ? expiresAt : null;
  }
}

function mac(secret: Buffer, content: Buffer): Buffer {
  const key = deriveKey(secret, { salt: NO_SALT, purpose: PRODUCT.keyPurpose.dpopNonce });
  return createHmac('sha256', key).update(content).digest();
}
