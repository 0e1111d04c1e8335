import { Injectable } from '@nestjs/common';
import { Problem } from '../../../platform/api/problem.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { boundedMap } from '../../../platform/performance/bounded-map.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { Settings } from '../../../platform/settings/settings.js';
import { networkOf } from '../../../platform/throttling/client-network.js';
import { MemoryCounts } from '../../../platform/throttling/memory-limiter.js';
import { RateLimitResponder } from '../../../platform/throttling/rate-limit-responder.js';

const POLICY = 'wrong-keys-address';
const LIMIT = 100;
const WINDOW_MS = 600_000;
const MAX_KNOWN = 100_000;

/**
 * Counts wrong keys by client network, in memory. No one guesses a secret of 178 bits: the limit saves work, because a
 * well-formed key that does not exist costs a read of Postgres. A network over the limit can still use secrets that this
 * instance has accepted before, so that one client cannot lock out its neighbours.
 */
@Injectable()
export class WrongKeys {
  private readonly counts: MemoryCounts;
  private readonly accepted = boundedMap<true>(MAX_KNOWN);

  constructor(
    private readonly responder: RateLimitResponder,
    private readonly settings: Settings,
    clock: Clock,
  ) {
    this.counts = new MemoryCounts(clock);
  }

  /**
   * Runs a check and counts it if it refuses the key.
   *
   * @param digest of the whole key: an attacker may know the id of a good one
   * @throws Problem `request.rate_limited` instead of the check, or as the check
   */
  async watch<T>(digest: string, context: RequestContext, check: () => Promise<T>): Promise<T> {
    const isKnown = this.accepted.has(digest);
    if (!isKnown && this.settings.rateLimits === 'on') await this.refuseFlood(context);
    try {
      const result = await check();
      if (!isKnown) this.accepted.set(digest, true);
      return result;
    } catch (error) {
      if (error instanceof Problem && error.code === 'auth.invalid_key') {
        this.accepted.delete(digest);
        this.counts.add(networkOf(context.ip), 1, WINDOW_MS);
      }
      throw error;
    }
  }

  private async refuseFlood(context: RequestContext): Promise<void> {
    const network = networkOf(context.ip);
    const [wrong, waitMs] = this.counts.add(network, 0, WINDOW_MS);
    if (wrong < LIMIT) return;
    await this.responder.record(`${POLICY}:${network}`, async () => ({
      type: 'excess_rate_limit_exceeded',
      context,
      details: { policy: POLICY },
    }));
    throw this.responder.problem({ policy: POLICY, limit: LIMIT, windowMs: WINDOW_MS, waitMs });
  }
}
