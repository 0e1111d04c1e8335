import type { CheckedRequest } from './options.js';
import { Refusal } from './refusal.js';

const BEARER = /^Bearer +\S/i;

/**
 * The access token of a request, only from `Authorization: Bearer`. Node keeps the first of several such headers and drops
 * the others, so this counts them.
 *
 * @throws Refusal `auth.unauthenticated`, `auth.ambiguous_credentials`
 */
export function bearerOf({ headers: { authorization }, rawHeaders = [] }: CheckedRequest): string {
  if (typeof authorization !== 'string') throw new Refusal('auth.unauthenticated');
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count += 1;
  }
  if (count > 1) throw new Refusal('auth.ambiguous_credentials');
  if (!BEARER.test(authorization)) throw new Refusal('auth.unauthenticated');
  return authorization.slice('Bearer '.length).trimStart();
}
