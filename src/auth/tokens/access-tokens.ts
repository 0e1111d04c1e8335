import { Injectable } from '@nestjs/common';
import { derToJose, joseToDer } from 'ecdsa-sig-formatter';
import { sign, verify, type KeyObject } from 'node:crypto';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../../platform/runtime/clock.js';
import { Problem } from '../../platform/api/problem.js';
import { lacksClaims, pickClaims, requireClaims } from '../../platform/claims/declared-claims.js';
import type { Principal } from '../../platform/http/request.js';
import { ClockCache } from '../../platform/performance/clock-cache.js';
import { Settings } from '../../platform/settings/settings.js';
import { expiryOf, rolesInForce, type SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import type { Transport } from '../../sessions/session.entity.js';
import { keyVersionOfTokenId, mintTokenId, traitsOfTokenId } from '../../sessions/token-id.js';
import { decodeAccessToken, type AccessTokenClaims, type DecodedAccessToken } from './access-token.parser.js';
import { KeyRing } from './key-ring.js';

export interface MintedAccessToken {
  token: string;
  /** Whole seconds. */
  expiresIn: number;
}

/** The principal of an authentic token, and the key that verified it. */
export interface Verified {
  token: string;
  principal: Principal;
  transport: Transport;
  kid: string;
  key: KeyObject;
  /** The last revision of the denial list at which the token was not denied. */
  passed?: number;
  /** The last bound cookie that came with the token, and the principal with the device key that it proves. */
  proven?: { cookie: string; principal: Principal; until: number };
}

/** Enough for about 10,000 tokens of about 500 characters, with their decoded contents. */
const VERIFIED_BYTES = 16 * 1024 * 1024;
const ENTRY_OVERHEAD_BYTES = 600;
/** Half of a signature: 256 bits, so no two authentic tokens share it. */
const END_LENGTH = 43;
/** An instance that is ready cannot have signed a token from further in the future. */
const CLOCK_SKEW_S = MAX_CLOCK_OFFSET_MS / 1_000;
const MAX_LIFE_S = 900;

/** Signs and verifies access tokens: ES256, `at+jwt` (RFC 9068), without personal data. */
@Injectable()
export class AccessTokens {
  /**
   * Authentic tokens that have not expired, by the last part of their signature: hashing 500 characters costs more
   * than comparing them. Everything that can change (time, revocations, keys) is checked on each use.
   */
  private readonly verified = new ClockCache<Verified>(
    VERIFIED_BYTES,
    ({ token }) => token.length + ENTRY_OVERHEAD_BYTES,
  );

  constructor(
    private readonly keys: KeyRing,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Signs a token for the session in its current state. The token expires no later than the session.
   * @param decidedAt when the session was last known to be alive, in ms. The lifetime of the token starts then, so
   *   that a token signed late does not outlive the denial-list entry of a revocation in between.
   * @param needsKey whether the token is worth nothing without a proof of the device key; in cookies that is so for every
   *   session that is bound to a key
   * @throws Error if a declared claim has a value that its schema refuses
   */
  mint(
    session: SessionSnapshot,
    decidedAt: number,
    needsKey = session.transport === 'cookie' && session.binding !== null,
  ): MintedAccessToken {
    const now = this.clock.now();
    const iat = Math.floor(Math.min(decidedAt, now) / 1_000);
    const { idleAt, expiresAt } = expiryOf(session, this.settings);
    const exp = Math.floor(
      Math.min(iat + this.settings.accessTokenTtl / 1_000, idleAt / 1_000, expiresAt / 1_000),
    );
    const { kid, privateKey } = this.keys.signer(now);
    const claims: AccessTokenClaims = {
      ...requireClaims(session.claims),
      iss: this.settings.tokenIssuer,
      aud: this.settings.tokenAudience,
      sub: session.userId,
      sid: session.id,
      jti: mintTokenId(session.id, session.keyVersion, { transport: session.transport, needsKey }),
      iat,
      exp,
      roles: [...rolesInForce(session, this.settings)],
    };
    const content = `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(claims)}`;
    // OpenSSL 3.5 takes twice as long to write the JOSE format (`ieee-p1363`) itself, and half as long again to read
    // it.
    const signature = derToJose(sign('sha256', Buffer.from(content), privateKey), 'ES256');
    return {
      token: `${content}.${signature}`,
      expiresIn: Math.max(0, exp - Math.floor(now / 1_000)),
    };
  }

  /**
   * Verifies an access token.
   * @param transport the transport on which the token was sent: a session keeps the transport of its login
   * @throws Problem `auth.invalid_token` if the token is not authentic
   * @throws Problem `auth.token_expired` if it is authentic but expired or without a declared claim, or if it names a
   *   retired key
   */
  verify(token: string, transport: Transport): Verified {
    const now = this.clock.now();
    const end = token.slice(-END_LENGTH);
    const known = this.verified.get(end);
    if (known?.token === token && known.transport === transport) {
      if (now < known.principal.expiresAt && this.keys.verifier(known.kid, now) === known.key) return known;
      this.verified.delete(end);
    }
    const decoded = this.decode(token, transport);
    if (!decoded || hasYetToBegin(decoded.claims, now)) throw new Problem('auth.invalid_token');
    const found = this.check(token, decoded, now);
    if (found && !lacksClaims(decoded.claims) && now < found.principal.expiresAt) {
      this.verified.set(end, found);
      return found;
    }
    // The session continues without the key that signed this token, or with a claim that it lacks, so the client
    // should refresh.
    const isUsedUp = found || this.keys.hasRetired(decoded.header.kid, now);
    throw new Problem(isUsedUp ? 'auth.token_expired' : 'auth.invalid_token');
  }

  /**
   * The principal of an authentic token, even if it has expired. This is enough to end its session, but never enough
   * for access.
   * @returns null if the token is not authentic
   */
  authenticate(token: string, transport: Transport): Principal | null {
    const decoded = this.decode(token, transport);
    return (decoded && this.check(token, decoded, this.clock.now()))?.principal ?? null;
  }

  private decode(token: string, transport: Transport): DecodedAccessToken | null {
    const decoded = decodeAccessToken(token);
    if (!decoded || traitsOfTokenId(decoded.claims.jti).transport !== transport) return null;
    return this.isOurs(decoded.claims) ? decoded : null;
  }

  private check(
    token: string,
    { header: { kid }, claims, content, signature }: DecodedAccessToken,
    now: number,
  ): Verified | null {
    const key = this.keys.verifier(kid, now);
    if (!key || !verify('sha256', content, key, joseToDer(signature, 'ES256'))) return null;
    const principal = principalOf(claims);
    return {
      token,
      transport: traitsOfTokenId(claims.jti).transport,
      kid,
      key,
      principal,
      passed: undefined,
      proven: undefined,
    };
  }

  private isOurs({ iss, aud, iat, exp }: AccessTokenClaims): boolean {
    const isFromHere = iss === this.settings.tokenIssuer && aud === this.settings.tokenAudience;
    return isFromHere && exp >= iat && exp - iat <= MAX_LIFE_S;
  }
}

function hasYetToBegin({ iat }: AccessTokenClaims, now: number): boolean {
  return iat > now / 1_000 + CLOCK_SKEW_S;
}

function principalOf(claims: AccessTokenClaims): Principal {
  const { sub, sid, jti, roles, iat, exp } = claims;
  return {
    userId: sub,
    sessionId: sid,
    tokenId: jti,
    keyVersion: keyVersionOfTokenId(jti),
    needsKey: traitsOfTokenId(jti).needsKey,
    roles,
    claims: pickClaims(claims),
    issuedAt: iat * 1_000,
    expiresAt: exp * 1_000,
    provenKey: undefined,
  };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
