import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { sessionEnded, tokenDenied } from '../../sessions/check/session-check.js';
import { BindingTokens } from '../../sessions/binding/binding-tokens.js';
import { keyProofRequired } from '../../sessions/binding/key-proof.js';
import { bindsSessions } from '../../sessions/binding/session-binding.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import { proofDelayed } from '../device-binding/delayed-proof.js';
import '../guards/credentials.js';
import { AccessTokens, type Verified } from './access-tokens.js';

/** Authenticates the caller by the access token alone, in memory, without I/O. */
@Injectable()
export class AccessAuthenticator {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly denials: DenialList,
    private readonly bindingTokens: BindingTokens,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * @throws Problem `auth.unauthenticated` if the request carries no access token
   * @throws Problem `auth.session_ended` if this instance knows that the session has ended
   * @throws Problem `auth.reauthentication_required` if the token needs a proof of the device key, which is missing
   * @throws Problem `request.rate_limited` if the browser says that it could not get the proof now
   * @throws Problem as {@link AccessTokens.verify} and `request.credentials`
   *
   * @param mayLackKeyProof for routes by which a client that has lost its key proves the user's identity
   */
  authenticate(request: FastifyRequest, mayLackKeyProof = false): Principal {
    const verified = this.verify(request);
    const { principal } = verified;
    const { boundCookie } = request.credentials;
    const proven = boundCookie && this.provenBy(boundCookie, verified);
    if (proven) return proven;
    if (!principal.needsKey || mayLackKeyProof || !bindsSessions(this.settings)) return principal;
    throw proofDelayed(request) ?? keyProofRequired();
  }

  /**
   * The principal with the key that a bound cookie proves. A browser shows the pair of tokens for minutes: the MAC costs
   * 3 µs, a comparison nearly nothing.
   *
   * @returns null for a cookie that is not authentic, has expired, or belongs to another session
   */
  private provenBy(boundCookie: string, verified: Verified): Principal | null {
    if (verified.proven?.cookie !== boundCookie) {
      const claims = this.bindingTokens.open('boundCookie', boundCookie);
      if (claims?.sessionId !== verified.principal.sessionId) return null;
      const principal = { ...verified.principal, provenKey: claims.number };
      verified.proven = { cookie: boundCookie, principal, until: claims.expiresAt };
    }
    const { principal, until } = verified.proven;
    return this.clock.now() < until ? principal : null;
  }

  private verify(request: FastifyRequest): Verified {
    const { accessToken, transport } = request.credentials;
    if (accessToken === null) throw new Problem('auth.unauthenticated');
    const verified = this.tokens.verify(accessToken, transport!);
    const { principal, passed } = verified;
    const { revision } = this.denials;
    if (passed === revision) return verified;
    const objection = this.objectionTo(principal);
    if (objection) throw objection;
    verified.passed = revision;
    return verified;
  }

  /** Why this instance refuses an authentic token by the revocations that it knows; null if it does not. */
  objectionTo(principal: Principal): Problem | null {
    const ended = this.denials.endOf(principal);
    if (ended) return sessionEnded(ended, principal);
    return this.denials.deniesToken(principal) ? tokenDenied() : null;
  }
}
