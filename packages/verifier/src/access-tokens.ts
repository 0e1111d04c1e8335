import type { KeyObject } from 'node:crypto';
import { decodeAccessToken, isBearerToken, type AccessTokenClaims, type ClaimCheck } from './access-token.js';
import { ClockCache } from './clock-cache.js';
import { isSignedBy } from './jws.js';
import type { FoundKey, KeySet } from './key-set.js';
import { Refusal } from './refusal.js';
import type { FlooredClock } from './time.js';

/** The caller, as the access token says. Instants are in milliseconds since the epoch. */
export interface Principal {
  userId: string;
  sessionId: string;
  tokenId: string;
  roles: string[];
  /** The claims that the application declares. */
  claims: Record<string, unknown>;
  issuedAt: number;
  expiresAt: number;
}

/** The principal of an authentic token, and the key that verified it. */
export interface Verified {
  token: string;
  principal: Principal;
  kid: string;
  key: KeyObject;
  /** The last revision of the denial list at which the token was not denied. */
  passed: number;
}

export interface AccessTokensOptions {
  issuer: string;
  audience: string;
  claims: Readonly<Record<string, ClaimCheck>>;
  cacheBytes: number;
  keys: KeySet;
  clock: FlooredClock;
}

const ENTRY_OVERHEAD_BYTES = 600;
/** Half of a signature: 256 bits, so no two authentic tokens share it. */
const END_LENGTH = 43;
/** No instance of the application signs a token from further in the future. */
const CLOCK_SKEW_S = 5;
const MAX_LIFE_S = 900;

/** Verifies access tokens as the application does: ES256, `at+jwt` (RFC 9068). */
export class AccessTokens {
  /** Authentic tokens by the last part of their signature. Everything that can change is checked on each use. */
  private readonly verified: ClockCache<Verified>;

  constructor(private readonly options: AccessTokensOptions) {
    this.verified = new ClockCache(options.cacheBytes, ({ token }) => token.length + ENTRY_OVERHEAD_BYTES);
  }

  /**
   * Verifies an access token. Asynchronous only if the token names a key that is not known yet.
   *
   * @throws Refusal `auth.invalid_token`, `auth.token_expired` or `auth.unavailable`
   */
  verify(token: string): Verified | Promise<Verified> {
    const { keys, clock } = this.options;
    const end = token.slice(-END_LENGTH);
    const known = this.verified.get(end);
    if (known?.token === token) {
      if (clock.now() < known.principal.expiresAt && keys.known(known.kid) === known.key) return known;
      this.verified.delete(end);
    }
    const decoded = decodeAccessToken(token, this.options.claims);
    if (!decoded || !this.isOurs(decoded.claims)) throw new Refusal('auth.invalid_token');
    const judge = (key: FoundKey) => {
      if (key === 'unsure') throw new Refusal('auth.unavailable');
      if (key === 'retired') throw new Refusal('auth.token_expired');
      if (key === 'unknown' || !isSignedBy(decoded, key)) throw new Refusal('auth.invalid_token');
      return this.accept(token, end, decoded.kid, decoded.claims, key);
    };
    const key = keys.known(decoded.kid);
    return key ? judge(key) : keys.find(decoded.kid).then(judge);
  }

  private accept(token: string, end: string, kid: string, claims: AccessTokenClaims, key: KeyObject) {
    const found: Verified = { token, principal: this.principalOf(claims), kid, key, passed: -1 };
    // The session continues without a claim that its token lacks, so the client should refresh.
    const lacksClaim = Object.keys(this.options.claims).some((name) => !Object.hasOwn(claims, name));
    if (lacksClaim || this.options.clock.now() >= found.principal.expiresAt)
      throw new Refusal('auth.token_expired');
    this.verified.set(end, found);
    return found;
  }

  private isOurs({ iss, aud, iat, exp, jti }: AccessTokenClaims): boolean {
    const { issuer, audience, clock } = this.options;
    const isFromThere = iss === issuer && aud === audience && isBearerToken(jti);
    const hasBegun = iat <= clock.now() / 1_000 + CLOCK_SKEW_S;
    return isFromThere && hasBegun && exp >= iat && exp - iat <= MAX_LIFE_S;
  }

  private principalOf(claims: AccessTokenClaims): Principal {
    const { sub, sid, jti, roles, iat, exp } = claims;
    const declared = Object.keys(this.options.claims).filter((name) => Object.hasOwn(claims, name));
    return {
      userId: sub,
      sessionId: sid,
      tokenId: jti,
      roles,
      claims: Object.fromEntries(declared.map((name) => [name, claims[name]])),
      issuedAt: iat * 1_000,
      expiresAt: exp * 1_000,
    };
  }
}
