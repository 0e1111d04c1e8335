import { z } from 'zod';
import { ROLES } from '../common/roles.js';
import { TOKEN_ID } from '../sessions/token-id.js';

/** Ours have about 500 bytes; anything much longer is not one of ours (TOK-15). */
const LONGEST = 4_096;
const GRAMMAR = /^[\w-]+\.[\w-]+\.[\w-]{86}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** RFC 9068 2.1: these three and nothing else, so no `crit`, `jwk`, `jku`, `x5u`, `b64`, `zip`. */
const Header = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('at+jwt'),
  kid: z.string().regex(/^[\w-]{1,64}$/),
});

/**
 * The contract's claims and nothing else: a token with another one was not made by {@link AccessTokens}, whoever signed it. An application
 * declares its own claims here, with their types, in the release before the first one that mints them.
 */
const Claims = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string().regex(UUID),
  sid: z.string().regex(UUID),
  jti: z.string().regex(TOKEN_ID),
  iat: z.int().nonnegative(),
  exp: z.int().nonnegative(),
  roles: z.array(z.enum(ROLES)),
});

export type AccessTokenHeader = z.infer<typeof Header>;
export type AccessTokenClaims = z.infer<typeof Claims>;

export interface DecodedAccessToken {
  header: AccessTokenHeader;
  claims: AccessTokenClaims;
  /** What is signed. */
  content: Buffer;
  signature: Buffer;
}

/**
 * The strict gate before any cryptography: length, alphabet, canonical base64url, UTF-8, the exact
 * header, the exact claims and their types. jsonwebtoken checks none of `typ`, `crit`, presence or
 * canonical spelling.
 * @returns null for anything that cannot be one of ours; it never throws
 */
export function decodeAccessToken(token: string): DecodedAccessToken | null {
  if (token.length > LONGEST || !GRAMMAR.test(token)) return null;
  const [headerText = '', claimsText = '', signatureText = ''] = token.split('.');
  const header = Header.safeParse(decodeJson(headerText));
  if (!header.success) return null;
  const claims = Claims.safeParse(decodeJson(claimsText));
  const signature = decode(signatureText);
  if (!claims.success || !signature) return null;
  const content = Buffer.from(`${headerText}.${claimsText}`, 'latin1');
  return { header: header.data, claims: claims.data, content, signature };
}

/** One spelling only: unused trailing bits must be zero (RFC 4648 3.5). */
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One spelling only, as ours are: without names that stand twice, which some reader would read otherwise (RFC 7519 4). */
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
