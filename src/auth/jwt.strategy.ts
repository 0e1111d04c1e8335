import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-jwt';
import { Problem } from '../common/problem.js';
import type { Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { sessionEnded, tokenDenied } from '../sessions/session-check.js';
import type { Transport } from '../sessions/session.entity.js';
import { DenialList } from '../sessions/denial-list.js';
import { AccessTokens, type Verified } from './access-tokens.js';
import { readCredentials, type Credentials } from './credentials.js';

/** Judges tokens of one transport. */
interface TransportVerifier {
  tokens: AccessTokens;
  transport: Transport;
}

/**
 * passport-jwt verifies through a static that may be replaced. Ours takes the verifier in the place
 * of the key, so that each application brings its own, and jsonwebtoken never sees a token.
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

/** Who calls, by the access token alone and without I/O. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  /** What came of an attempt, see {@link run}. */
  private principal?: Principal;
  private problem?: unknown;

  constructor(
    tokens: AccessTokens,
    private readonly denials: DenialList,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {
    const verifiers = { cookie: { tokens, transport: 'cookie' }, bearer: { tokens, transport: 'bearer' } };
    super({
      // What is authenticated is not the request but the credentials that were read from it, see `run`.
      jwtFromRequest: (credentials: unknown) => (credentials as Credentials).accessToken,
      secretOrKeyProvider: (
        credentials: unknown,
        _token: unknown,
        done: (error: null, verifier: never) => void,
      ) => done(null, verifiers[(credentials as Credentials).transport!] as never),
    });
    // Nest awaits `validate`, which has nothing to wait for: six promises for each request.
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
   * Passport's interface of a strategy, without the middleware that it builds for each request.
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
