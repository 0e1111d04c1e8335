import { Inject, Injectable } from '@nestjs/common';
import { derToJose, joseToDer } from 'ecdsa-sig-formatter';
import { sign, verify, type KeyObject } from 'node:crypto';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import type { Principal } from '../common/request.js';
import { SecondChance } from '../common/second-chance.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { endsOf, rolesInForce, type SessionSnapshot } from '../sessions/session-snapshot.js';
import type { Transport } from '../sessions/session.entity.js';
import { editionOfTokenId, mintTokenId, transportOfTokenId } from '../sessions/token-id.js';
import { decodeAccessToken, type AccessTokenClaims, type DecodedAccessToken } from './access-token.gate.js';
import { KeyRing } from './key-ring.js';

export interface MintedAccessToken {
  token: string;
  /** Whole seconds. */
  expiresIn: number;
}

/** Whom an authentic token names, and which key said so. */
export interface Verified {
  token: string;
  principal: Principal;
  transport: Transport;
  kid: string;
  key: KeyObject;
  /** The last revision of the denial list that let it pass. */
  passed?: number;
}

/** About 10,000 callers' tokens of about 500 characters, with what was read from them. */
const VERIFIED_BYTES = 16 * 1024 * 1024;
const ENTRY_OVERHEAD_BYTES = 600;
/** Half of a signature: 256 bits that no two authentic tokens have in common. */
const END_LENGTH = 43;
/** A token from further in the future was not signed by an instance that is ready. */
const CLOCK_SKEW_S = MAX_CLOCK_OFFSET_MS / 1_000;
const LONGEST_LIFE_S = 900;

/** Signs and verifies access tokens: ES256, `at+jwt` (RFC 9068), nothing personal inside. */
@Injectable()
export class AccessTokens {
  /**
   * Authentic tokens that have not expired, by their ends: a hash of 500 characters is dearer than comparing them.
   * What can change (time, revocation, keys) is judged on each use.
   */
  private readonly verified = new SecondChance<Verified>(
    VERIFIED_BYTES,
    ({ token }) => token.length + ENTRY_OVERHEAD_BYTES,
  );

  constructor(
    private readonly keys: KeyRing,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * A token for the session as it stands, dead at the latest when the session itself is.
   * @param decidedAt when the session was last seen alive: the token's time runs from then, so that one
   * that is signed late does not outlive what instances remember of a revocation in between
   */
  mint(session: SessionSnapshot, decidedAt: number): MintedAccessToken {
    const now = this.clock.now();
    const iat = Math.floor(Math.min(decidedAt, now) / 1_000);
    const { idleAt, expiresAt } = endsOf(session, this.settings);
    const exp = Math.floor(
      Math.min(iat + this.settings.accessTokenTtl / 1_000, idleAt / 1_000, expiresAt / 1_000),
    );
    const { kid, privateKey } = this.keys.signer(now);
    const claims: AccessTokenClaims = {
      iss: this.settings.tokenIssuer,
      aud: this.settings.tokenAudience,
      sub: session.userId,
      sid: session.id,
      jti: mintTokenId(session.id, session.edition, session.transport),
      iat,
      exp,
      roles: [...rolesInForce(session, this.settings)],
    };
    const content = `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(claims)}`;
    // OpenSSL 3.5 takes twice as long to write JOSE's spelling itself (`ieee-p1363`), and half as long again to read it.
    const signature = derToJose(sign('sha256', Buffer.from(content), privateKey), 'ES256');
    return {
      token: `${content}.${signature}`,
      expiresIn: Math.max(0, exp - Math.floor(now / 1_000)),
    };
  }

  /**
   * @param transport on which the token was presented: a session keeps the one that its login chose
   * @throws Problem `auth.invalid_token` for all that is not authentic, `auth.token_expired` for what was, and for
   * all that names a retired key
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
    if (found && now < found.principal.expiresAt) {
      this.verified.set(end, found);
      return found;
    }
    // The session lives on without the key that its token was signed with, so the client is to refresh.
    const isUsedUp = found || this.keys.hasRetired(decoded.header.kid, now);
    throw new Problem(isUsedUp ? 'auth.token_expired' : 'auth.invalid_token');
  }

  /**
   * Who an authentic token was given to, whatever the time is: enough to end that session,
   * never enough to be let in. Null for anything else.
   */
  authenticate(token: string, transport: Transport): Principal | null {
    const decoded = this.decode(token, transport);
    return (decoded && this.check(token, decoded, this.clock.now()))?.principal ?? null;
  }

  private decode(token: string, transport: Transport): DecodedAccessToken | null {
    const decoded = decodeAccessToken(token);
    if (!decoded || transportOfTokenId(decoded.claims.jti) !== transport) return null;
    return this.isOurs(decoded.claims) ? decoded : null;
  }

  private check(
    token: string,
    { header: { kid }, claims, content, signature }: DecodedAccessToken,
    now: number,
  ): Verified | null {
    const key = this.keys.verifier(kid, now);
    if (!key || !verify('sha256', content, key, joseToDer(signature, 'ES256'))) return null;
    const transport = transportOfTokenId(claims.jti);
    return { token, transport, kid, key, principal: principalOf(claims), passed: undefined };
  }

  private isOurs({ iss, aud, iat, exp }: AccessTokenClaims): boolean {
    const isFromHere = iss === this.settings.tokenIssuer && aud === this.settings.tokenAudience;
    return isFromHere && exp >= iat && exp - iat <= LONGEST_LIFE_S;
  }
}

function hasYetToBegin({ iat }: AccessTokenClaims, now: number): boolean {
  return iat > now / 1_000 + CLOCK_SKEW_S;
}

function principalOf({ sub, sid, jti, roles, iat, exp }: AccessTokenClaims): Principal {
  return {
    userId: sub,
    sessionId: sid,
    tokenId: jti,
    edition: editionOfTokenId(jti),
    roles,
    issuedAt: iat * 1_000,
    expiresAt: exp * 1_000,
  };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
