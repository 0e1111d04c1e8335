import { sha256 } from '../runtime/sha256.js';

/**
 * The SHA-256 of a key, in base64url. Digests are short and of one alphabet, and Redis then contains no addresses and
 * no tokens.
 */
export function digest(text: string): string {
  return sha256(text).toString('base64url');
}
