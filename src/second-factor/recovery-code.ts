import { createHash } from 'node:crypto';
import { random } from '../common/random.js';

export const RECOVERY_CODES = 10;
/** Sixteen letters of five bits: 80 bits, too many to guess, also for who has the digests. */
const LETTERS = 16;
/** Without letters that look alike (Crockford's base 32, in small letters). */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

export function mintRecoveryCode(): string {
  const letters = [...random.bytes(LETTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return letters.replace(/.{4}(?=.)/g, '$&-');
}

/**
 * SHA-256 is enough for 80 random bits: a slow hash protects what people choose (ASVS 6.5.2). Bound to its owner, so that
 * one run over all digests does not serve for everybody's.
 * @returns null for what cannot be one, however it is spelled
 */
export function digestOfRecoveryCode(userId: string, typed: string): Buffer | null {
  const letters = typed.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replaceAll('o', '0');
  if (letters.length !== LETTERS || [...letters].some((letter) => !ALPHABET.includes(letter))) return null;
  return createHash('sha256').update(`recovery code of ${userId}: ${letters}`).digest();
}
