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

declare module 'fastify' {
  interface FastifyRequest {
    /** A limit of the caller itself, on all routes together. Set by the guard that has recognised the caller. */
    callerLimit?: CallerLimit;
  }
}

/** A limit of requests in a window, in ms. */
export interface CallerLimit {
  /** The name in headers and metrics. */
  policy: string;
  /** Whose requests are counted. */
  key: string;
  limit: number;
  windowMs: number;
}

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
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const { callerLimit } = request;
    if ((!limit && !policy && !callerLimit) || this.settings.rateLimits === 'off') return true;
    const reply = http.getResponse<FastifyReply>();
    if (callerLimit) this.count(callerLimit, reply);
    if (limit) this.count(limitOfRoute(limit, routeOf(context), request), reply);
    return policy && request.user ? this.throttle.admit(policy, ['user'], request) : true;
  }

  /** Both headers are lists: a request may have two limits. */
  private count({ policy, key, limit, windowMs }: CallerLimit, reply: FastifyReply): void {
    const [points, waitMs] = this.counts.add(`${policy}:${key}`, 1, windowMs);
    if (points > limit) throw this.rateLimitResponder.problem({ policy, limit, windowMs, waitMs });
    append(reply, 'ratelimit-policy', policyField(policy, limit, windowMs));
    append(reply, 'ratelimit', `"${policy}";r=${limit - points};t=${Math.ceil(waitMs / 1_000)}`);
  }
}

function append(reply: FastifyReply, header: string, item: string): void {
  const items = reply.getHeader(header);
  void reply.header(header, items === undefined ? item : `${String(items)}, ${item}`);
}

function limitOfRoute({ limit, per }: RateLimitOptions, route: string, request: FastifyRequest): CallerLimit {
  const caller = request.user?.userId ?? request.delegate?.id ?? networkOf(requestContextOf(request).ip);
  return { policy: POLICY, key: `${route}:${caller}`, limit, windowMs: milliseconds(per) };
}

function routeOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}
