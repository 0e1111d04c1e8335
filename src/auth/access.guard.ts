import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../common/metadata.js';
import { Problem } from '../common/problem.js';
import type { Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { LastSeenService } from '../sessions/last-seen.service.js';
import { RevocationFeed } from '../sessions/revocation-feed.js';
import { SessionCheck } from '../sessions/session-check.js';
import { readCredentials } from './credentials.js';
import { JwtStrategy } from './jwt.strategy.js';
import { PublicRoute } from './public.decorator.js';

/** The access tier. It protects every route that is not `@Public()`: routes are closed by default. */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly isPublic = metadataReader(PublicRoute);

  constructor(
    private readonly strategy: JwtStrategy,
    private readonly feed: RevocationFeed,
    private readonly sessions: SessionCheck,
    private readonly lastSeen: LastSeenService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** Synchronous unless it has to wait for a revocation or a session check, which is rare. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (!this.isPublic(context)) return this.admit(request);
    readCredentials(request, this.settings.cookieSecure); // a request with two credentials is refused everywhere
    return true;
  }

  private admit(request: FastifyRequest): boolean | Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    if (floor === undefined) return this.judge(request);
    this.strategy.run(request); // checks the token first: a refused request must not cause a query to PostgreSQL
    return this.reach(floor).then(() => this.judge(request));
  }

  private judge(request: FastifyRequest): boolean | Promise<boolean> {
    const principal = this.strategy.run(request);
    if (!this.feed.isBlind()) return this.enter(request, principal);
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
    await this.feed.reach(Number(seq)).catch((cause) => {
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
