import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-jwt';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { sessionEnded, tokenDenied } from '../../sessions/check/session-check.js';
import type { Transport } from '../../sessions/session.entity.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import { AccessTokens, type Verified } from './access-tokens.js';
import { readCredentials, type Credentials } from '../guards/credentials.js';

/** Verifies tokens of one transport. */
interface TransportVerifier {
  tokens: AccessTokens;
  transport: Transport;
}

/**
 * passport-jwt verifies through a replaceable static. This one takes the verifier in place of the key: each
 * application brings its own, and jsonwebtoken never sees a token.
 */
type Verifier = (
  token: string,
  verifier: TransportVerifier,
  options: unknown,
  done: (error: unknown, verified?: Verified) => void,
) => void;
(Strategy as unknown as { JwtVerifier: Verifier }).JwtVerifier = (token, verifier, _, done) => {
  let verified: Verified;
  try {
    verified = verifier.tokens.verify(token, verifier.transport);
  } catch (error) {
    return done(error);
  }
  done(null, verified);
};

/** Authenticates the caller by the access token alone, without I/O. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  /** The result of an attempt, see {@link run}. */
  private principal?: Principal;
  private problem?: unknown;

  constructor(
    tokens: AccessTokens,
    private readonly denials: DenialList,
    private readonly settings: Settings,
  ) {
    const verifiers = { cookie: { tokens, transport: 'cookie' }, bearer: { tokens, transport: 'bearer' } };
    super({
      // `run` passes the credentials that were read from the request in place of the request.
      jwtFromRequest: (credentials: unknown) => (credentials as Credentials).accessToken,
      secretOrKeyProvider: (
        credentials: unknown,
        _token: unknown,
        done: (error: null, verifier: never) => void,
      ) => done(null, verifiers[(credentials as Credentials).transport!] as never),
    });
    // Nest awaits `validate`, although it is synchronous. That would cost six promises for each request.
    Object.assign(this, { _verify: this.judge });
  }

  validate(verified: Verified): Principal {
    const { principal, passed } = verified;
    const { revision } = this.denials;
    if (passed === revision) return principal;
    const ended = this.denials.endOf(principal);
    if (ended) throw sessionEnded(ended, principal);
    if (this.denials.deniesToken(principal)) throw tokenDenied();
    verified.passed = revision;
    return principal;
  }

  /**
   * Runs the strategy through Passport's interface, without the middleware that Passport builds for each request.
   * @throws Problem as {@link AccessTokens.verify}, and `auth.unauthenticated`, `auth.session_ended`
   */
  run(request: FastifyRequest): Principal {
    const attempt = Object.create(this) as JwtStrategy;
    attempt.authenticate(readCredentials(request, this.settings.cookieSecure) as never);
    if (attempt.principal) return attempt.principal;
    throw attempt.problem;
  }

  override success(principal: Principal): void {
    this.principal = principal;
  }

  override fail(reason: unknown): void {
    this.problem = reason instanceof Problem ? reason : new Problem('auth.unauthenticated');
  }

  override error(error: unknown): void {
    this.problem = error;
  }

  private readonly judge = (verified: Verified, done: (error: null, principal: Principal) => void): void =>
    done(null, this.validate(verified));
}
