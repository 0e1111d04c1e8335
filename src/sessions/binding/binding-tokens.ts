import { Injectable } from '@nestjs/common';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../../platform/runtime/derive-key.js';
import { random } from '../../platform/runtime/random.js';
import { Clock } from '../../platform/runtime/clock.js';
import { KeyStore } from '../../platform/keys/key-store.js';
import { PRODUCT } from '../../product.js';

/** The purpose of a text. Each purpose has keys of its own. */
export type BindingPurpose = 'boundCookie' | 'bindingOffer' | 'bindingChallenge';

export interface BindingClaims {
  sessionId: string;
  /** In a bound cookie the version of the binding, in an offer that of the session's keys, in a challenge the number of proofs. */
  number: number;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

const HEADER_BYTES = 16 + 4 + 6 + 4; // session id ‖ number ‖ expiry ‖ random, so that no two are equal
/** 128 bits (RFC 2104 5). Each byte of the bound cookie is read with every request. */
const MAC_BYTES = 16;
const SHAPE = /^[\w-]{62}$/; // 46 bytes in base64url, with the MAC
const NO_SALT = Buffer.alloc(0);

/**
 * Texts that this server makes and recognises without a store: the bound cookie, the offer of a binding, and the
 * challenges that a device signs. Each contains a session, a number and an expiry, with an HMAC under a key that is
 * derived from the refresh secrets.
 */
@Injectable()
export class BindingTokens {
  private readonly derived = new WeakMap<Buffer, Partial<Record<BindingPurpose, Buffer>>>();

  constructor(
    private readonly keys: KeyStore,
    private readonly clock: Clock,
  ) {}

  mint(purpose: BindingPurpose, claims: BindingClaims): string {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(claims.sessionId.replaceAll('-', ''), 0, 'hex');
    header.writeUInt32BE(claims.number, 16);
    header.writeUIntBE(claims.expiresAt, 20, 6);
    random.bytes(4).copy(header, 26);
    const mac = this.mac(purpose, this.keys.mintingSecret(this.clock.now()), header);
    return Buffer.concat([header, mac]).toString('base64url');
  }

  /** @returns null for a text that this server did not mint for the purpose, or that has expired */
  open(purpose: BindingPurpose, text: string): BindingClaims | null {
    const now = this.clock.now();
    const claims = this.read(purpose, text, now);
    return claims && now < claims.expiresAt ? claims : null;
  }

  private read(purpose: BindingPurpose, text: string, now: number): BindingClaims | null {
    if (!SHAPE.test(text)) return null;
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.toString('base64url') !== text) return null;
    const header = bytes.subarray(0, HEADER_BYTES);
    const mac = bytes.subarray(HEADER_BYTES);
    const isOurs = this.keys
      .verifyingSecrets(now)
      .some((secret) => timingSafeEqual(mac, this.mac(purpose, secret, header)));
    if (!isOurs) return null;
    const hex = header.toString('hex', 0, 16);
    const sessionId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    return { sessionId, number: header.readUInt32BE(16), expiresAt: header.readUIntBE(20, 6) };
  }

  private mac(purpose: BindingPurpose, secret: Buffer, header: Buffer): Buffer {
    let keys = this.derived.get(secret);
    if (!keys) this.derived.set(secret, (keys = {}));
    const key = (keys[purpose] ??= deriveKey(secret, {
      salt: NO_SALT,
      purpose: PRODUCT.keyPurpose[purpose],
    }));
    return createHmac('sha256', key).update(header).digest().subarray(0, MAC_BYTES);
  }
}
