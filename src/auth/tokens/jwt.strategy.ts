import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy, type SecretOrKeyProvider, type StrategyOptionsWithRequest } from 'passport-jwt';
import type { Principal } from '../../platform/http/request.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { AccessAuthenticator } from './access-authenticator.js';
import { decodeAccessToken } from './access-token.parser.js';
import { KeyRing } from './key-ring.js';

/**
 * The strategy of `AuthGuard('jwt')`, for code that expects Passport. It gives the same answers as `AccessGuard`, which protects every
 * route already and does not use Passport. This strategy verifies each signature twice: the second time with jsonwebtoken.
 *
 * ```ts
 * @UseGuards(AuthGuard('jwt'))
 * ```
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  constructor(
    private readonly authenticator: AccessAuthenticator,
    keys: KeyRing,
    clock: Clock,
    settings: Settings,
  ) {
    const secretOrKeyProvider = ((_request, token: string, done) => {
      const key = keys.verifier(decodeAccessToken(token)!.header.kid, clock.now());
      done(null, key as unknown as string); // jsonwebtoken takes a KeyObject; the types of passport-jwt are older
    }) satisfies SecretOrKeyProvider;
    super({
      // Throws the problem that `AccessGuard` answers. Passport's own failures have no code.
      jwtFromRequest: (request) => {
        const incoming = request as unknown as FastifyRequest;
        authenticator.authenticate(incoming);
        return incoming.credentials.accessToken;
      },
      secretOrKeyProvider,
      algorithms: ['ES256'],
      issuer: settings.tokenIssuer,
      audience: settings.tokenAudience,
      // The authenticator has compared `exp` with the injected clock.
      ignoreExpiration: true,
      passReqToCallback: true,
    } satisfies StrategyOptionsWithRequest);
  }

  validate(request: FastifyRequest): Principal {
    return this.authenticator.authenticate(request);
  }
}
