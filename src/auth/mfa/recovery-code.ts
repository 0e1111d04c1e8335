import { random } from '../../platform/runtime/random.js';
import { sha256 } from '../../platform/runtime/sha256.js';

/** The number of codes in a set. */
export const RECOVERY_CODES = 10;
/** 16 letters of five bits: 80 bits are too many to guess, even for an attacker who has the digests. */
const LETTERS = 16;
/** Crockford's base 32 in lower case, without letters that look alike. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Mints a random code, in groups of four letters. */
export function mintRecoveryCode(): string {
  const letters = [...random.bytes(LETTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return letters.replace(/.{4}(?=.)/g, '$&-');
}

/**
 * SHA-256 is enough for 80 random bits; a slow hash is only needed for secrets that users choose (ASVS 6.5.2). The
 * digest includes the user, so that one search cannot cover the digests of all users.
 *
 * @returns null for a text that cannot be a code, in any spelling
 */
export function digestOfRecoveryCode(userId: string, typed: string): Buffer | null {
  const letters = typed.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replaceAll('o', '0');
  if (letters.length !== LETTERS || [...letters].some((letter) => !ALPHABET.includes(letter))) return null;
  return sha256(`recovery code of ${userId}: ${letters}`);
}
