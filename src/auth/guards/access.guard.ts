import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { LastSeenService } from '../../sessions/check/last-seen.service.js';
import { RevocationSubscriber } from '../../sessions/revocation/revocation-subscriber.js';
import { SessionCheck } from '../../sessions/check/session-check.js';
import { ApiKeyAdmission } from '../api-keys/check/api-key.admission.js';
import { AppAdmission } from '../oauth/check/app.admission.js';
import { ScopedRoute } from './allow-scope.decorator.js';
import './credentials.js';
import { AccessAuthenticator } from '../tokens/access-authenticator.js';
import { PublicRoute } from './public.decorator.js';

/**
 * The access tier. It protects every route that is not `@Public()`: routes are closed by default. A request with an
 * API key is admitted by {@link ApiKeyAdmission} instead, and one with a token of an app by {@link AppAdmission}.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly isPublic = metadataReader(PublicRoute);
  private readonly scopedOf = metadataReader(ScopedRoute);

  constructor(
    private readonly authenticator: AccessAuthenticator,
    private readonly revocationSubscriber: RevocationSubscriber,
    private readonly sessions: SessionCheck,
    private readonly lastSeen: LastSeenService,
    private readonly apiKeys: ApiKeyAdmission,
    private readonly apps: AppAdmission,
    private readonly settings: Settings,
  ) {}

  /** Synchronous unless it has to wait for a revocation or a session check, which is rare. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { apiKey } = request.credentials; // throws for two credentials, on every route
    if (this.isPublic(context)) return true;
    if (apiKey !== null) return this.admitKey(context, request, apiKey);
    if (this.apps.concerns(request)) return this.admitApp(context, request);
    if (this.scopedOf(context)?.machinesOnly) throw this.refusalOfPerson(request);
    return this.admit(request);
  }

  /** @throws Problem as the authenticator, if the token is not valid: only its user learns that no role would help */
  private refusalOfPerson(request: FastifyRequest): Problem {
    this.authenticator.authenticate(request);
    return new Problem('auth.forbidden');
  }

  private admit(request: FastifyRequest): boolean | Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    if (floor === undefined) return this.judge(request);
    this.authenticator.authenticate(request); // checks the token first: a refused request must not cause a query to PostgreSQL
    return this.reach(floor).then(() => this.judge(request));
  }

  private async admitKey(context: ExecutionContext, request: FastifyRequest, text: string): Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    let key = this.apiKeys.recognise(context, text);
    if (floor !== undefined) {
      await this.reach(floor);
      key = this.apiKeys.recognise(context, text); // it may have ended meanwhile
    }
    return this.apiKeys.admit(context, key);
  }

  private async admitApp(context: ExecutionContext, request: FastifyRequest): Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    let claims = this.apps.recognise(context, request);
    if (floor !== undefined) {
      await this.reach(floor);
      claims = this.apps.recognise(context, request); // its grant may have ended meanwhile
    }
    return this.apps.admit(context, request, claims);
  }

  private judge(request: FastifyRequest): boolean | Promise<boolean> {
    const principal = this.authenticator.authenticate(request);
    if (!this.revocationSubscriber.isBlind()) return this.enter(request, principal);
    return this.admitBlindly(principal).then(() => this.enter(request, principal));
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
  private async admitBlindly(principal: Principal): Promise<void> {
    if (this.settings.accessWhenBlind === 'deny') throw new Problem('auth.unavailable');
    if (this.settings.accessWhenBlind === 'session')
      await this.sessions.require(principal, { consistency: 'cached', mayLackSecondFactor: true });
  }
}
