import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { SessionRoute } from '../../sessions/check/require-session.decorator.js';
import { SessionCheck } from '../../sessions/check/session-check.js';
import { SessionGuard } from '../../sessions/check/session.guard.js';
import { expiryOf, rolesInForce, type SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { DelegateAdmissions } from '../delegates/delegate-admissions.js';
import { callerOf } from '../guards/current-caller.decorator.js';
import { PublicRoute } from '../guards/public.decorator.js';
import { RolesRoute } from '../guards/roles.decorator.js';
import { AccessAuthenticator } from '../tokens/access-authenticator.js';
import type { Admission, RouteContext } from './admission.js';

/** Turns a request that the guards have admitted into the admission of a connection. */
@Injectable()
export class Admissions {
  private readonly isPublic = metadataReader(PublicRoute);
  private readonly sessionOf = metadataReader(SessionRoute);
  private readonly rolesOf = metadataReader(RolesRoute);

  constructor(
    private readonly authenticator: AccessAuthenticator,
    private readonly sessions: SessionCheck,
    private readonly sessionGuard: SessionGuard,
    private readonly delegates: DelegateAdmissions,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /** @returns null on a public route */
  of(context: RouteContext, request: FastifyRequest): Admission | null {
    if (this.isPublic(context)) return null;
    const { delegate } = request;
    if (delegate) return this.delegates.of(delegate).forConnection(context, request);
    return this.ofSession(context, request, request.user!);
  }

  private ofSession(context: RouteContext, request: FastifyRequest, principal: Principal): Admission {
    const options = this.sessionOf(context);
    const wanted = this.rolesOf(context);
    // As the guards: an attacker with write access to the cache must not gain a role.
    const requirement = {
      ...this.sessionGuard.requirementOf(options ?? { awaitsSecondFactor: true }),
      ...(wanted && { consistency: 'strict' as const }),
    };
    return {
      caller: callerOf(request),
      credentialIds: [principal.sessionId],
      checksEachMessage: options !== undefined,
      until: Math.min(principal.expiresAt, request.session ? this.endOf(request.session) : Infinity),
      objection: () => this.authenticator.objectionTo(principal),
      check: async () => {
        const session = await this.sessions.require(principal, requirement);
        const roles = rolesInForce(session, this.settings);
        if (wanted && !wanted.some((role) => roles.includes(role))) throw new Problem('auth.forbidden');
        return Math.min(this.endOf(session), this.clock.now() + this.settings.accessTokenTtl);
      },
    };
  }

  private endOf(session: SessionSnapshot): number {
    const { idleAt, expiresAt } = expiryOf(session, this.settings);
    return Math.min(idleAt, expiresAt);
  }
}
