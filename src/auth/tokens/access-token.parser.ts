import { z } from 'zod';
import { OPTIONAL_CLAIMS } from '../../platform/claims/declared-claims.js';
import { role } from '../../roles.js';
import { TOKEN_ID } from '../../sessions/token-id.js';

/** Maximum length in characters. Our tokens have about 500 (TOK-15). */
const LONGEST = 4_096;
const GRAMMAR = /^[\w-]+\.[\w-]+\.[\w-]{86}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** RFC 9068 2.1: exactly these three parameters, so no `crit`, `jwk`, `jku`, `x5u`, `b64` or `zip`. */
const Header = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('at+jwt'),
  kid: z.string().regex(/^[\w-]{1,64}$/),
});

/**
 * Exactly the claims of the contract, and those that `src/claims.ts` declares. {@link AccessTokens} did not make a
 * token with any other claim, even if its signature is valid.
 */
const Claims = z.strictObject({
  ...(OPTIONAL_CLAIMS as object),
  iss: z.string(),
  aud: z.string(),
  sub: z.string().regex(UUID),
  sid: z.string().regex(UUID),
  jti: z.string().regex(TOKEN_ID),
  iat: z.int().nonnegative(),
  exp: z.int().nonnegative(),
  roles: z.array(role),
});

export type AccessTokenHeader = z.infer<typeof Header>;
export type AccessTokenClaims = z.infer<typeof Claims>;

/** A signed token (RFC 7515) whose signature is not yet verified. */
export interface DecodedJws<H, C> {
  header: H;
  claims: C;
  /** The signed bytes. */
  content: Buffer;
  signature: Buffer;
}

export type DecodedAccessToken = DecodedJws<AccessTokenHeader, AccessTokenClaims>;

/** {@link decodeJws} for the access token of a session. */
export function decodeAccessToken(token: string): DecodedAccessToken | null {
  return decodeJws(token, Header, Claims);
}

/**
 * The strict check before any cryptography: length, alphabet, canonical base64url, UTF-8, the exact header, and the
 * exact claims with their types. jsonwebtoken does not check `typ`, `crit`, the presence of claims or canonical
 * spelling.
 * @returns null for a token that this server cannot have made; it never throws
 */
export function decodeJws<H, C>(
  token: string,
  headerSchema: z.ZodType<H>,
  claimsSchema: z.ZodType<C>,
): DecodedJws<H, C> | null {
  if (token.length > LONGEST || !GRAMMAR.test(token)) return null;
  const [headerText = '', claimsText = '', signatureText = ''] = token.split('.');
  const header = headerSchema.safeParse(decodeJson(headerText));
  if (!header.success) return null;
  const claims = claimsSchema.safeParse(decodeJson(claimsText));
  const signature = decode(signatureText);
  if (!claims.success || !signature) return null;
  const content = Buffer.from(`${headerText}.${claimsText}`, 'latin1');
  return { header: header.data, claims: claims.data, content, signature };
}

/** Accepts only one spelling: unused trailing bits must be zero (RFC 4648 3.5). */
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Accepts only the spelling that this server writes, so no duplicate names: parsers disagree about them (RFC 7519 4).
 */
function decodeJson(text: string): unknown {
  const bytes = decode(text);
  try {
    const json = bytes && utf8.decode(bytes);
    const value: unknown = json && JSON.parse(json);
    return JSON.stringify(value) === json ? value : null;
  } catch {
    return null;
  }
}
