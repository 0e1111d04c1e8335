import { decodeJws, type DecodedJws } from './jws.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TOKEN_ID = /^[\w-]{43}$/;
const ROLE = /^[a-z][a-z0-9_]{0,31}$/;
/** The place of the bit in a `jti` that says on which transport its session was opened. */
const TRANSPORT_AT = 29;
const IS_BEARER = 0b1;
/** The place of the bit that says whether the token is worth nothing without the key of its device. */
const KEY_AT = 30;
const NEEDS_KEY = 0x80;

/** The claims of every access token (RFC 9068). Times are in seconds. */
export interface AccessTokenClaims extends Record<string, unknown> {
  iss: string;
  aud: string;
  sub: string;
  sid: string;
  jti: string;
  iat: number;
  exp: number;
  roles: string[];
}

export type DecodedAccessToken = DecodedJws & { claims: AccessTokenClaims };

/** A claim that `src/claims.ts` of the application declares: whether a value is one of its values. */
export type ClaimCheck = (value: unknown) => boolean;

const isInstant = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const isText = (value: unknown) => typeof value === 'string';

const STANDARD: Record<keyof AccessTokenClaims & string, ClaimCheck> = {
  iss: isText,
  aud: isText,
  sub: matches(UUID),
  sid: matches(UUID),
  jti: matches(TOKEN_ID),
  iat: isInstant,
  exp: isInstant,
  roles: (value) => Array.isArray(value) && value.every(matches(ROLE)),
};
const STANDARD_COUNT = Object.keys(STANDARD).length;

/**
 * Decodes an access token, with exactly the claims of the contract and those that the application declares. A declared
 * claim may be absent: a token of the release before the declaration has none.
 *
 * @returns null for a token that the application cannot have made; it never throws
 */
export function decodeAccessToken(
  token: string,
  declared: Readonly<Record<string, ClaimCheck>>,
): DecodedAccessToken | null {
  const decoded = decodeJws(token, 'at+jwt');
  if (!decoded) return null;
  let standard = 0;
  for (const [name, value] of Object.entries(decoded.claims)) {
    const isStandard = Object.hasOwn(STANDARD, name);
    const check = isStandard ? STANDARD[name] : Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (!check?.(value)) return null;
    if (isStandard) standard += 1;
  }
  return standard === STANDARD_COUNT ? (decoded as DecodedAccessToken) : null;
}

/**
 * Whether a token may be shown as a bearer token. One of a cookie session may not, and neither may one that needs the key
 * of its device: with it, a client that has lost its key proves the user's identity to the application, and nothing
 * else.
 */
export function isBearerToken(tokenId: string): boolean {
  const bytes = Buffer.from(tokenId, 'base64url');
  return (bytes[TRANSPORT_AT]! & IS_BEARER) !== 0 && (bytes[KEY_AT]! & NEEDS_KEY) === 0;
}
