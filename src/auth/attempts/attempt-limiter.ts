import { Injectable } from '@nestjs/common';
import { milliseconds } from '../../platform/settings/duration.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { UserRepository } from '../../users/user.repository.js';
import { networkOf } from '../../platform/throttling/client-network.js';
import { digest } from '../../platform/throttling/digest.js';
import type { AttemptCounters } from '../../platform/throttling/attempts/attempt-counters.js';
import { RULES } from '../../platform/throttling/attempts/backoff.js';
import { RateLimiterFactory, type Window } from '../../platform/throttling/rate-limiter-factory.js';
import { UNKNOWN_DEVICES, type Limit } from '../../platform/throttling/policies.js';
import { RateLimitResponder, type RateLimitRefusal } from '../../platform/throttling/rate-limit-responder.js';

/** An attempt at a secret. */
export interface Attempt {
  /** The kind of secret. Each kind has its own counter. */
  secret: 'password' | 'code' | 'passkey';
  /** The canonical e-mail address, whether or not it is registered. */
  account: string;
  /**
   * A device that has logged in to this account before, or the session of the request. Each has its own counter, so
   * that attempts by strangers cannot delay the owner (OWASP, "device cookies"). Null for strangers.
   */
  known: string | null;
  context: RequestContext;
}

type Undo = () => Promise<void>;

/**
 * The attempt limiter: counts attempts at passwords and codes before the server evaluates them. So a refused client
 * does not learn whether its attempt was right. A successful attempt clears the failures before it. An attempt that
 * was not evaluated does not count.
 */
@Injectable()
export class AttemptLimiter {
  private readonly counters: AttemptCounters;
  private readonly windows: Record<keyof typeof UNKNOWN_DEVICES, Window>;

  constructor(
    limiters: RateLimiterFactory,
    private readonly rateLimitResponder: RateLimitResponder,
    private readonly users: UserRepository,
    private readonly settings: Settings,
  ) {
    this.counters = limiters.attempts();
    this.windows = {
      address: limiters.window('guesses-address', UNKNOWN_DEVICES.address),
      everyone: limiters.window('guesses-everyone', UNKNOWN_DEVICES.everyone),
    };
  }

  /**
   * Evaluates an attempt. `look` must only evaluate it: when it throws, the attempt does not count.
   *
   * @returns the result of `look`, and the number of failures in a row before a successful attempt
   * @throws Problem `request.rate_limited` before the evaluation
   */
  async prove<T extends { proven: boolean }>(
    attempt: Attempt,
    look: () => Promise<T>,
  ): Promise<T & { failedBefore: number }> {
    if (this.settings.rateLimits === 'off') return { ...(await look()), failedBefore: 0 };
    const undo = await this.reserve(attempt);
    const refundWindows = () => undo.windows.map((refund) => refund());
    let seen: T;
    try {
      seen = await look();
    } catch (error) {
      await Promise.all([undo.guess(), ...refundWindows()]);
      throw error;
    }
    if (!seen.proven) return { ...seen, failedBefore: 0 };
    const [counted] = await Promise.all([this.counters.forget(keyOf(attempt)), ...refundWindows()]);
    return { ...seen, failedBefore: Math.max(0, counted - 1) };
  }

  /** Clears the attempts of strangers, after the secret was reset by other means. */
  async forget(account: string, secret: Attempt['secret'] = 'password'): Promise<void> {
    await this.counters.forget(keyOf({ secret, account, known: null }));
  }

  private async reserve(attempt: Attempt): Promise<{ guess: Undo; windows: Undo[] }> {
    const key = keyOf(attempt);
    const waitMs = await this.counters.count(key);
    const policy = attempt.known === null ? 'guesses-account' : 'guesses-known';
    if (waitMs > 0)
      throw await this.refuse(attempt, key, { policy, limit: RULES.free, windowMs: RULES.memory, waitMs });
    const undo = { guess: () => this.counters.takeBack(key), windows: [] as Undo[] };
    if (attempt.known !== null) return undo;
    // The narrow limit comes first, so that a single client cannot use up the limit that everyone shares.
    for (const [name, windowKey] of [
      ['address', networkOf(attempt.context.ip)],
      ['everyone', 'all'],
    ] as const) {
      const window = this.windows[name];
      const wait = await window.consume(windowKey);
      if (wait > 0) {
        await Promise.all([undo.guess, ...undo.windows].map((refund) => refund()));
        throw await this.refuse(
          attempt,
          windowKey,
          refusalOf(`guesses-${name}`, UNKNOWN_DEVICES[name], wait),
        );
      }
      undo.windows.push(() => window.refund(windowKey));
    }
    return undo;
  }

  private async refuse(attempt: Attempt, key: string, refusal: RateLimitRefusal): Promise<Problem> {
    const { account, secret, context } = attempt;
    const { policy } = refusal;
    await this.rateLimitResponder.record(`${policy}:${key}`, async () => ({
      type: key === keyOf(attempt) ? 'authn_login_fail_max' : 'excess_rate_limit_exceeded',
      userId: (await this.users.findForLogin(account))?.id,
      context,
      details: { policy, secret },
    }));
    return this.rateLimitResponder.problem(refusal);
  }
}

/** All strangers share one counter per account. */
function keyOf({ secret, account, known }: Pick<Attempt, 'secret' | 'account' | 'known'>): string {
  return known === null ? `${secret}:account:${digest(account)}` : `${secret}:known:${digest(known)}`;
}

function refusalOf(policy: string, { limit, per }: Limit, waitMs: number): RateLimitRefusal {
  return { policy, limit, windowMs: milliseconds(per), waitMs };
}
