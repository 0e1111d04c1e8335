import { createHash } from 'node:crypto';

/**
 * The SHA-256 of a key, in base64url. Digests are short and of one alphabet, and Redis then contains no addresses and
 * no tokens.
 */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
