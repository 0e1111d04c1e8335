import { boundedMap } from '../../performance/bounded-map.js';
import type { Clock } from '../../runtime/clock.js';
import {
  COUNT_ATTEMPT,
  countAttempt,
  FORGET,
  ruleArguments,
  RULES,
  STRICT_RULES,
  TAKE_BACK,
  type AttemptRecord,
  type BackoffRules,
} from './backoff.js';
import type { RedisCounters } from '../redis-counters.js';
import { PRODUCT } from '../../../product.js';

const PREFIX = `${PRODUCT.redisPrefix}guesses:`;
const MAX_KEYS = 100_000;

/** Counts the attempts at secrets. */
export interface AttemptCounters {
  /**
   * Counts an attempt as failed, atomically.
   *
   * @returns the milliseconds to wait instead; 0 when the attempt is allowed
   */
  count(key: string): Promise<number>;
  /** Removes an attempt that was not evaluated. */
  takeBack(key: string): Promise<void>;
  /**
   * Removes all failures after a successful attempt.
   *
   * @returns how many attempts in a row were counted, including this one
   */
  forget(key: string): Promise<number>;
}

/** Counters in the memory of one instance. */
export class MemoryAttemptCounters implements AttemptCounters {
  private readonly records = boundedMap<AttemptRecord>(MAX_KEYS);

  constructor(
    private readonly clock: Clock,
    private readonly backoffRules: BackoffRules = RULES,
  ) {}

  async count(key: string): Promise<number> {
    const outcome = countAttempt(this.records.get(key), this.clock.now(), this.backoffRules);
    if ('record' in outcome) this.records.set(key, outcome.record);
    return outcome.wait;
  }

  async takeBack(key: string): Promise<void> {
    const record = this.records.get(key);
    if (record && record.failures > 0)
      this.records.set(key, { ...record, failures: record.failures - 1, nextAt: 0 });
  }

  async forget(key: string): Promise<number> {
    const failures = this.records.get(key)?.failures ?? 0;
    this.records.delete(key);
    return failures;
  }
}

/** Counters that all instances share. If Redis is not available, each instance counts alone, by stricter rules. */
export class RedisAttemptCounters implements AttemptCounters {
  private readonly insurance: MemoryAttemptCounters;
  private readonly arguments = ruleArguments(RULES);

  constructor(
    private readonly redis: RedisCounters,
    private readonly clock: Clock,
  ) {
    this.insurance = new MemoryAttemptCounters(clock, STRICT_RULES);
  }

  async count(key: string): Promise<number> {
    const options = { keys: [PREFIX + key], arguments: [String(this.clock.now()), ...this.arguments] };
    const wait = await this.redis.eval(COUNT_ATTEMPT, options).catch(() => null);
    return wait === null ? this.insurance.count(key) : Number(wait);
  }

  async takeBack(key: string): Promise<void> {
    await this.insurance.takeBack(key);
    await this.redis.eval(TAKE_BACK, { keys: [PREFIX + key], arguments: [] }).catch(() => undefined);
  }

  async forget(key: string): Promise<number> {
    const alone = await this.insurance.forget(key);
    const together = await this.redis
      .eval(FORGET, { keys: [PREFIX + key], arguments: [] })
      .catch(() => undefined);
    return alone + Number(together ?? 0);
  }
}
