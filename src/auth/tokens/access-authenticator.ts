import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { sessionEnded, tokenDenied } from '../../sessions/check/session-check.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import '../guards/credentials.js';
import { AccessTokens } from './access-tokens.js';

/** Authenticates the caller by the access token alone, in memory, without I/O. */
@Injectable()
export class AccessAuthenticator {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly denials: DenialList,
  ) {}

  /**
   * @throws Problem `auth.unauthenticated` if the request carries no access token
   * @throws Problem `auth.session_ended` if this instance knows that the session has ended
   * @throws Problem as {@link AccessTokens.verify} and `request.credentials`
   */
  authenticate(request: FastifyRequest): Principal {
    const { accessToken, transport } = request.credentials;
    if (accessToken === null) throw new Problem('auth.unauthenticated');
    const verified = this.tokens.verify(accessToken, transport!);
    const { principal, passed } = verified;
    const { revision } = this.denials;
    if (passed === revision) return principal;
    const objection = this.objectionTo(principal);
    if (objection) throw objection;
    verified.passed = revision;
    return principal;
  }

  /** Why this instance refuses an authentic token by the revocations that it knows; null if it does not. */
  objectionTo(principal: Principal): Problem | null {
    const ended = this.denials.endOf(principal);
    if (ended) return sessionEnded(ended, principal);
    return this.denials.deniesToken(principal) ? tokenDenied() : null;
  }
}
