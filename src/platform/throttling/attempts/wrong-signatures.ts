import { Injectable } from '@nestjs/common';
import { milliseconds } from '../../settings/duration.js';
import type { RequestContext } from '../../http/request.js';
import { Settings } from '../../settings/settings.js';
import { networkOf } from '../client-network.js';
import { RateLimiterFactory, type Window } from '../rate-limiter-factory.js';
import { WRONG_SIGNATURES } from '../policies.js';
import { RateLimitResponder } from '../rate-limit-responder.js';

const POLICY = 'wrong-signatures-address';

/**
 * Counts wrong signatures of requests that name no account, by client network only. So a stranger cannot delay the
 * owner of a passkey, and passkey logins go on during a password spraying attack.
 */
@Injectable()
export class WrongSignatures {
  private readonly window: Window;

  constructor(
    limiters: RateLimiterFactory,
    private readonly rateLimitResponder: RateLimitResponder,
    private readonly settings: Settings,
  ) {
    this.window = limiters.window(POLICY, WRONG_SIGNATURES);
  }

  /**
   * Evaluates a signature. A right signature does not count, nor does an evaluation that throws.
   *
   * @throws Problem `request.rate_limited` before the evaluation
   */
  async prove<T extends { proven: boolean }>(context: RequestContext, look: () => Promise<T>): Promise<T> {
    if (this.settings.rateLimits === 'off') return look();
    const key = networkOf(context.ip);
    const waitMs = await this.window.consume(key);
    if (waitMs > 0) throw await this.refuse(key, waitMs, context);
    let isWrong = false;
    try {
      const seen = await look();
      isWrong = !seen.proven;
      return seen;
    } finally {
      if (!isWrong) await this.window.refund(key);
    }
  }

  private async refuse(key: string, waitMs: number, context: RequestContext) {
    await this.rateLimitResponder.record(`${POLICY}:${key}`, async () => ({
      type: 'excess_rate_limit_exceeded',
      context,
      details: { policy: POLICY },
    }));
    const { limit, per } = WRONG_SIGNATURES;
    return this.rateLimitResponder.problem({ policy: POLICY, limit, windowMs: milliseconds(per), waitMs });
  }
}
