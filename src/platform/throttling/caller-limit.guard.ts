import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '../runtime/clock.js';
import { milliseconds } from '../settings/duration.js';
import { metadataReader } from '../api/cached-metadata.js';
import { requestContextOf } from '../http/request.js';
import { Settings } from '../settings/settings.js';
import { networkOf } from './client-network.js';
import { MemoryCounts } from './memory-limiter.js';
import { RateLimitedRoute, type RateLimitOptions } from './rate-limit.decorator.js';
import { policyField, RateLimitResponder } from './rate-limit-responder.js';
import { ThrottledRoute } from './throttled.decorator.js';
import { ThrottleGuard } from './throttle.guard.js';

/** The name of a route's own limit, in headers and metrics. */
const POLICY = 'caller';

/**
 * Runs after the access guard and counts requests by caller: for `@RateLimit()` without I/O, and for the user limits
 * of `@Throttled()` with I/O.
 */
@Injectable()
export class CallerLimitGuard implements CanActivate {
  private readonly limitOf = metadataReader(RateLimitedRoute);
  private readonly policyOf = metadataReader(ThrottledRoute);
  private readonly counts: MemoryCounts;

  constructor(
    private readonly throttle: ThrottleGuard,
    private readonly rateLimitResponder: RateLimitResponder,
    clock: Clock,
    private readonly settings: Settings,
  ) {
    this.counts = new MemoryCounts(clock);
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const limit = this.limitOf(context);
    const policy = this.policyOf(context);
    if ((!limit && !policy) || this.settings.rateLimits === 'off') return true;
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (limit) this.count(limit, routeOf(context), request, http.getResponse<FastifyReply>());
    return policy && request.user ? this.throttle.admit(policy, ['user'], request) : true;
  }

  private count(
    { limit, per }: RateLimitOptions,
    route: string,
    request: FastifyRequest,
    reply: FastifyReply,
  ) {
    const caller = request.user?.userId ?? networkOf(requestContextOf(request).ip);
    const windowMs = milliseconds(per);
    const [points, waitMs] = this.counts.add(`${route}:${caller}`, 1, windowMs);
    if (points > limit) throw this.rateLimitResponder.problem({ policy: POLICY, limit, windowMs, waitMs });
    void reply
      .header('ratelimit-policy', policyField(POLICY, limit, windowMs))
      .header('ratelimit', `"${POLICY}";r=${limit - points};t=${Math.ceil(waitMs / 1_000)}`);
  }
}

function routeOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}
