import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { milliseconds } from '../settings/duration.js';
import { metadataReader } from '../api/cached-metadata.js';
import type { Problem } from '../api/problem.js';
import { cookieNamesOf } from '../http/cookie-names.js';
import { requestContextOf } from '../http/request.js';
import { Settings } from '../settings/settings.js';
import { canonicalEmail } from '../mail/email-address.js';
import { networkOf } from './client-network.js';
import { digest } from './digest.js';
import { RateLimiterFactory, type Window } from './rate-limiter-factory.js';
import { POLICIES, type Limit, type Policy, type PolicyName } from './policies.js';
import { RateLimitResponder } from './rate-limit-responder.js';
import { ThrottledRoute } from './throttled.decorator.js';

type Dimension = keyof Policy;
/** The dimensions that are known before authentication, in the order in which they are counted. */
const BEFORE_ACCESS: Dimension[] = ['address', 'token', 'account', 'everyone'];

/**
 * Counts requests of `@Throttled()` routes before any other work. After one limit has refused a request, the next
 * limits do not count it. So a single client cannot use up a limit that everyone shares.
 */
@Injectable()
export class ThrottleGuard implements CanActivate {
  private readonly policyOf = metadataReader(ThrottledRoute);
  private readonly windows = new Map<string, Window>();
  /** The text before the refresh token in a `Cookie` header. */
  private readonly refreshCookie: string;

  constructor(
    private readonly rateLimiterFactory: RateLimiterFactory,
    private readonly rateLimitResponder: RateLimitResponder,
    private readonly settings: Settings,
  ) {
    this.refreshCookie = `${cookieNamesOf(settings).refresh}=`;
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const policy = this.policyOf(context);
    if (!policy || this.settings.rateLimits === 'off') return true;
    return this.admit(policy, BEFORE_ACCESS, context.switchToHttp().getRequest<FastifyRequest>());
  }

  /**
   * Counts a request in these dimensions of a policy.
   *
   * @throws Problem `request.rate_limited`
   */
  async admit(name: PolicyName, dimensions: Dimension[], request: FastifyRequest): Promise<boolean> {
    const policy: Policy = POLICIES[name];
    for (const dimension of dimensions) {
      const limit = policy[dimension];
      const key = limit && keyFor[dimension](request, this.refreshCookie);
      if (!key) continue;
      const bucket = `${name}-${dimension}`;
      const waitMs = await this.windowFor(bucket, limit).consume(key);
      if (waitMs > 0) throw await this.refuse({ policy: bucket, limit, waitMs }, key, request);
    }
    return true;
  }

  private async refuse(
    { policy, limit, waitMs }: { policy: string; limit: Limit; waitMs: number },
    key: string,
    request: FastifyRequest,
  ): Promise<Problem> {
    await this.rateLimitResponder.record(`${policy}:${key}`, async () => ({
      type: 'excess_rate_limit_exceeded',
      userId: request.user?.userId,
      context: requestContextOf(request),
      details: { policy },
    }));
    return this.rateLimitResponder.problem({
      policy,
      limit: limit.limit,
      windowMs: milliseconds(limit.per),
      waitMs,
    });
  }

  private windowFor(bucket: string, limit: Limit): Window {
    let window = this.windows.get(bucket);
    if (!window) this.windows.set(bucket, (window = this.rateLimiterFactory.window(bucket, limit)));
    return window;
  }
}

/** The key in each dimension; undefined when the request has none. */
const keyFor: Record<Dimension, (request: FastifyRequest, refreshCookie: string) => string | undefined> = {
  address: (request) => networkOf(requestContextOf(request).ip),
  everyone: () => 'all',
  account: ({ body }) => {
    const { email } = (body ?? {}) as { email?: unknown };
    const account = typeof email === 'string' ? canonicalEmail(email) : null;
    return account === null ? undefined : digest(account);
  },
  token: ({ body, headers }, refreshCookie) => {
    const { refreshToken } = (body ?? {}) as { refreshToken?: unknown };
    const shown = typeof refreshToken === 'string' ? refreshToken : valueAfter(refreshCookie, headers.cookie);
    return shown ? digest(shown) : undefined;
  },
  user: ({ user }) => user?.userId,
};

/**
 * The value of a cookie. It serves only as a counter key; the code that authenticates the token parses it strictly.
 *
 * @param name with the `=`
 */
function valueAfter(name: string, header: string | undefined): string | undefined {
  const pairs = header?.split(/; ?/) ?? [];
  return pairs.find((pair) => pair.startsWith(name))?.slice(name.length);
}
