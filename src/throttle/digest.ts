import { createHash } from 'node:crypto';

/** Keys are short and of one alphabet, and Redis holds no addresses of people and no tokens. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
