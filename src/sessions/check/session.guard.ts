import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import { requestContextOf, type Principal } from '../../platform/http/request.js';
import { CheckTimings, type CheckTrace } from './check-timings.js';
import { maxAuthAgeOf, SessionRoute, type RequireSessionOptions } from './require-session.decorator.js';
import { SessionCheck, type SessionRequirement } from './session-check.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { SessionRiskService } from '../risk/session-risk.service.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the access guard: the caller, by the access token alone. */
    user?: Principal;
    /** Set by the session guard: the session as it was checked for this request. */
    session?: SessionSnapshot;
  }
}

/** The session tier. It runs after the access guard and checks that guard's principal against the session record. */
@Injectable()
export class SessionGuard implements CanActivate {
  private readonly optionsOf = metadataReader(SessionRoute);
  private readonly requirements = new WeakMap<RequireSessionOptions, SessionRequirement>();

  constructor(
    private readonly sessions: SessionCheck,
    private readonly sessionRisk: SessionRiskService,
    private readonly timings: CheckTimings,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const options = this.optionsOf(context);
    if (!options) return true;
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (!this.timings.isEnabled || request.delegate) return this.check(request, options);
    const reply = http.getResponse<FastifyReply>();
    return this.timings.measure(reply, 'session', (trace) => this.check(request, options, trace));
  }

  private async check(
    request: FastifyRequest,
    options: RequireSessionOptions,
    trace?: CheckTrace,
  ): Promise<boolean> {
    if (request.delegate) return true; // the access guard has checked it as strictly
    if (!request.user) throw new Problem('auth.unauthenticated');
    const session = await this.sessions.require(request.user, this.requirementOf(options), trace);
    const looking = this.sessionRisk.examine(
      session,
      requestContextOf(request),
      options.provesIdentity ?? false,
    );
    if (looking) await looking;
    request.session = session;
    return true;
  }

  /** The requirement of a route, for its session check. */
  requirementOf(options: RequireSessionOptions): SessionRequirement {
    let requirement = this.requirements.get(options);
    if (!requirement) {
      const maxAuthAge = maxAuthAgeOf(options);
      // An attacker with write access to the cache could pretend that a user has just proved their identity.
      const consistency = maxAuthAge === undefined ? options.consistency : 'strict';
      requirement = {
        maxAuthAge,
        consistency: consistency ?? 'cached',
        bySecondFactor: options.bySecondFactor ?? false,
        mayLackSecondFactor: options.awaitsSecondFactor ?? false,
        mayLackKeyProof: options.provesIdentity ?? false,
      };
      this.requirements.set(options, requirement);
    }
    return requirement;
  }
}
