import { createHash, type BinaryLike } from 'node:crypto';

/**
 * SHA-256 (FIPS 180-4) of the concatenated parts: 32 bytes. It protects random tokens, names keys and compares contents. For secrets
 * that users choose it is too fast (ASVS 11.4.2): `PasswordHasher` has argon2id.
 *
 * ```ts
 * sha256('abc').toString('hex'); // 'ba7816bf…'
 * ```
 */
export function sha256(...parts: BinaryLike[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
