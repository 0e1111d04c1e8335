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

/** The access tier, for every route that is not `@Public()`: closed by default. */
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

  /** Waits for nothing where nothing is to be waited for, which is nearly always. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (!this.isPublic(context)) return this.admit(request);
    readCredentials(request, this.settings.cookieSecure); // two at once are refused everywhere
    return true;
  }

  private admit(request: FastifyRequest): boolean | Promise<boolean> {
    const floor = request.headers['x-min-revocation-seq'];
    if (floor === undefined) return this.judge(request);
    this.strategy.run(request); // whoever is refused as it is makes nobody ask PostgreSQL
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

  /** The caller knows of a revocation: nobody is let in before this instance has it too. */
  private async reach(seq: string | string[]): Promise<void> {
    if (typeof seq !== 'string' || !/^\d{1,18}$/.test(seq)) {
      throw new Problem('request.invalid', {
        members: { errors: [{ path: 'X-Min-Revocation-Seq', message: 'must be the seq of a receipt' }] },
      });
    }
    await this.feed.reach(Number(seq)).catch((cause) => {
      throw new Problem('auth.unavailable', { cause });
    });
  }

  /** The list may lack a revocation. `allow` is bounded by the token's `exp`. */
  private async admitBlindly(principal: Principal): Promise<void> {
    if (this.settings.accessWhenBlind === 'deny') throw new Problem('auth.unavailable');
    if (this.settings.accessWhenBlind === 'session')
      await this.sessions.require(principal, { consistency: 'cached', mayLackSecondFactor: true });
  }
}
