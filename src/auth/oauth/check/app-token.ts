import { Injectable } from '@nestjs/common';
import { joseToDer } from 'ecdsa-sig-formatter';
import { verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { boundedMap } from '../../../platform/performance/bounded-map.js';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../../../platform/runtime/clock.js';
import { decodeJws } from '../../tokens/access-token.parser.js';
import { KeyRing } from '../../tokens/key-ring.js';
import { OAuthResources } from '../provider/resources.js';

/** Before the `kid` of a key of ours in tokens for apps: a verifier of sessions does not know such a key. */
const KID_PREFIX = 'oauth-';
/** As of access tokens of sessions. */
export const MAX_APP_TOKEN_LIFE_S = 600;
const MAX_KNOWN = 5_000;

const Header = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('at+jwt'),
  kid: z.string().regex(/^oauth-[\w-]{1,64}$/),
});

const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);

/** Exactly the claims of RFC 9068, the grant, and its session if it ends with one. */
const Claims = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: uuid,
  client_id: z.string(),
  scope: z.string(),
  grant_id: uuid,
  sid: uuid.optional(),
  jti: z.string(),
  iat: z.int().nonnegative(),
  exp: z.int().nonnegative(),
});
export type AppTokenClaims = z.infer<typeof Claims>;

/** Why a token of an app was refused. */
export type AppTokenFault = 'invalid' | 'expired';

/** The `kid` in tokens for apps, of one of our signing keys. */
export const appKid = (kid: string): string => KID_PREFIX + kid;

/** Verifies the access tokens that the OAuth provider has issued to apps. */
@Injectable()
export class AppTokens {
  /** Authentic tokens by their text. Everything that can change is checked on each use. */
  private readonly verified = boundedMap<{ claims: AppTokenClaims; kid: string; key: KeyObject }>(MAX_KNOWN);
  /** Whether a first part of tokens is that of tokens for apps: there is one for each key. */
  private readonly headers = boundedMap<{ ofApp: boolean }>(100);

  constructor(
    private readonly keys: KeyRing,
    private readonly clock: Clock,
    private readonly resources: OAuthResources,
  ) {}

  /** Whether a token says that it was issued to an app. It may still be forged. */
  isAppToken(token: string): boolean {
    const header = token.slice(0, Math.min(token.indexOf('.') + 1, 400));
    let known = this.headers.get(header);
    if (!known) this.headers.set(header, (known = { ofApp: namesAppKey(header) }));
    return known.ofApp;
  }

  /**
   * Verifies a token, of whichever audience.
   *
   * @returns its claims, or why it is refused
   */
  verify(token: string): AppTokenClaims | AppTokenFault {
    const now = this.clock.now();
    const known = this.verified.get(token);
    if (known && this.keys.verifier(known.kid, now) === known.key) return inTime(known.claims, now);
    const decoded = decodeJws(token, Header, Claims);
    if (!decoded || !this.isOurs(decoded.claims, now)) return 'invalid';
    const kid = decoded.header.kid.slice(KID_PREFIX.length);
    const key = this.keys.verifier(kid, now);
    if (!key) return this.keys.hasRetired(kid, now) ? 'expired' : 'invalid';
    if (!verify('sha256', decoded.content, key, joseToDer(decoded.signature, 'ES256'))) return 'invalid';
    this.verified.set(token, { claims: decoded.claims, kid, key });
    return inTime(decoded.claims, now);
  }

  private isOurs({ iss, iat, exp }: AppTokenClaims, now: number): boolean {
    const isSoundTime = exp >= iat && exp - iat <= MAX_APP_TOKEN_LIFE_S;
    return iss === this.resources.issuer && isSoundTime && iat * 1_000 <= now + MAX_CLOCK_OFFSET_MS;
  }
}

function inTime(claims: AppTokenClaims, now: number): AppTokenClaims | 'expired' {
  return now < claims.exp * 1_000 ? claims : 'expired';
}

function namesAppKey(header: string): boolean {
  try {
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid?: unknown };
    return typeof kid === 'string' && kid.startsWith(KID_PREFIX);
  } catch {
    return false;
  }
}
