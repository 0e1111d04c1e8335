import { hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * Derives a key of 32 bytes from a secret of the key file by HKDF with SHA-256 (RFC 5869). Each purpose has keys of its own, see
 * `PRODUCT.keyPurpose`. Takes some microseconds.
 *
 * ```ts
 * deriveKey(secret, { salt: nonce, purpose: 'acme invoice links v1' });
 * ```
 */
export function deriveKey(secret: Buffer, { salt, purpose }: { salt: Buffer; purpose: string }): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, purpose, KEY_BYTES));
}
