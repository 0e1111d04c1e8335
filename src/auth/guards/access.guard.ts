import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { CheckTimings } from '../../sessions/check/check-timings.js';
import { LastSeenService } from '../../sessions/check/last-seen.service.js';
import { RevocationSubscriber } from '../../sessions/revocation/revocation-subscriber.js';
import { SessionRoute } from '../../sessions/check/require-session.decorator.js';
import { SessionCheck } from '../../sessions/check/session-check.js';
import type { DelegateAdmission } from '../delegates/delegate-admission.js';
import { DelegateAdmissions } from '../delegates/delegate-admissions.js';
import { ScopedRoute } from './allow-scope.decorator.js';
import './credentials.js';
import { AccessAuthenticator } from '../tokens/access-authenticator.js';
import { PublicRoute } from './public.decorator.js';

/**
 * The access tier. It protects every route that is not `@Public()`: routes are closed by default. A request with another
 * credential than a session, such as an API key, is admitted by the {@link DelegateAdmission} of its kind.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly isPublic = metadataReader(PublicRoute);
  private readonly scopedOf = metadataReader(ScopedRoute);
  private readonly sessionOf = metadataReader(SessionRoute);

  constructor(
    private readonly authenticator: AccessAuthenticator,
    private readonly revocationSubscriber: RevocationSubscriber,
    private readonly sessions: SessionCheck,
    private readonly lastSeen: LastSeenService,
    private readonly delegates: DelegateAdmissions,
    private readonly timings: CheckTimings,
    private readonly settings: Settings,
  ) {}

  /** Synchronous unless it has to wait for a revocation or a session check, which is rare. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { credentials } = request; // throws for two credentials, on every route
    if (this.isPublic(context)) return true;
    const delegate = this.delegates.concernedBy(credentials);
    if (delegate !== null) return this.admitDelegate(delegate, context, request);
    if (this.scopedOf(context)?.machinesOnly) throw this.refusalOfPerson(request);
    return this.timings.isEnabled ? this.admitTimed(context, request) : this.admit(context, request);
  }

  /** @throws Problem as the authenticator, if the token is not valid: only its user learns that no role would help */
  private refusalOfPerson(request: FastifyRequest): Problem {
    this.authenticator.authenticate(request);
    return new Problem('auth.forbidden');
  }

  private admit(context: ExecutionContext, request: FastifyRequest): boolean | Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    if (floor === undefined) return this.judge(context, request);
    this.authenticate(context, request); // checks the token first: a refused request must not cause a query to PostgreSQL
    return this.reach(floor).then(() => this.judge(context, request));
  }

  /** A blind instance may ask a store (`ACCESS_WHEN_BLIND=session`), so its memory has not answered. */
  private admitTimed(context: ExecutionContext, request: FastifyRequest): boolean | Promise<boolean> {
    if (this.revocationSubscriber.isBlind()) return this.admit(context, request);
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return this.timings.measure(reply, 'access', () => this.admit(context, request));
  }

  private async admitDelegate(
    delegate: DelegateAdmission,
    context: ExecutionContext,
    request: FastifyRequest,
  ): Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    let recognised = delegate.recognise(context, request);
    if (floor !== undefined) {
      await this.reach(floor);
      recognised = delegate.recognise(context, request); // it may have ended meanwhile
    }
    return delegate.admit(context, request, recognised);
  }

  private authenticate(context: ExecutionContext, request: FastifyRequest): Principal {
    const mayLackKeyProof = this.sessionOf(context)?.provesIdentity ?? false;
    return this.authenticator.authenticate(request, mayLackKeyProof);
  }

  private judge(context: ExecutionContext, request: FastifyRequest): boolean | Promise<boolean> {
    const principal = this.authenticate(context, request);
    if (!this.revocationSubscriber.isBlind()) return this.enter(request, principal);
    return this.admitBlindly(context, principal).then(() => this.enter(request, principal));
  }

  private enter(request: FastifyRequest, principal: Principal): true {
    request.user = principal;
    this.lastSeen.touch(principal.sessionId);
    return true;
  }

  /**
   * The caller knows of a revocation, so the request waits until this instance has read it.
   * @throws Problem `request.invalid` if the header is malformed
   * @throws Problem `auth.unavailable` if the instance does not catch up in time
   */
  private async reach(seq: string | string[]): Promise<void> {
    if (typeof seq !== 'string' || !/^\d{1,18}$/.test(seq)) {
      throw new Problem('request.invalid', {
        members: { errors: [{ path: 'X-Min-Revocation-Seq', message: 'must be the `seq` of a receipt' }] },
      });
    }
    await this.revocationSubscriber.reach(Number(seq)).catch((cause) => {
      throw new Problem('auth.unavailable', { cause });
    });
  }

  /**
   * The denial list may lack a revocation, so `ACCESS_WHEN_BLIND` decides. With `allow`, a revoked token works at
   * most until its `exp`.
   * @throws Problem `auth.unavailable`, or as the session check
   */
  private async admitBlindly(context: ExecutionContext, principal: Principal): Promise<void> {
    if (this.settings.accessWhenBlind === 'deny') throw new Problem('auth.unavailable');
    if (this.settings.accessWhenBlind === 'session')
      await this.sessions.require(principal, {
        consistency: 'cached',
        mayLackSecondFactor: true,
        mayLackKeyProof: this.sessionOf(context)?.provesIdentity,
      });
  }
}
