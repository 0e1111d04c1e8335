import { Inject, Injectable } from '@nestjs/common';
import { milliseconds } from '../common/duration.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { networkOf } from './client-network.js';
import { Limiters, type Window } from './limiters.js';
import { WRONG_SIGNATURES } from './policies.js';
import { Refusals } from './refusals.js';

const POLICY = 'wrong-signatures-address';

/**
 * Counts wrong signatures of requests that name no account, by client network only. So a stranger cannot delay the
 * owner of a passkey, and passkey logins go on during a password spraying attack.
 */
@Injectable()
export class WrongSignatures {
  private readonly window: Window;

  constructor(
    limiters: Limiters,
    private readonly refusals: Refusals,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {
    this.window = limiters.window(POLICY, WRONG_SIGNATURES);
  }

  /**
   * Evaluates a signature. A right signature does not count, nor does an evaluation that throws.
   *
   * @throws Problem `request.rate_limited` before the evaluation
   */
  async prove<T extends { proven: boolean }>(origin: Origin, look: () => Promise<T>): Promise<T> {
    if (this.settings.rateLimits === 'off') return look();
    const key = networkOf(origin.ip);
    const waitMs = await this.window.consume(key);
    if (waitMs > 0) throw await this.refuse(key, waitMs, origin);
    let isWrong = false;
    try {
      const seen = await look();
      isWrong = !seen.proven;
      return seen;
    } finally {
      if (!isWrong) await this.window.refund(key);
    }
  }

  private async refuse(key: string, waitMs: number, origin: Origin) {
    await this.refusals.record(`${POLICY}:${key}`, async () => ({
      type: 'excess_rate_limit_exceeded',
      origin,
      details: { policy: POLICY },
    }));
    const { limit, per } = WRONG_SIGNATURES;
    return this.refusals.problem({ policy: POLICY, limit, windowMs: milliseconds(per), waitMs });
  }
}
