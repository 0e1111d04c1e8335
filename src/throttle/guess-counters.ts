import { boundedMap } from '../common/bounded-map.js';
import type { Clock } from '../common/clock.js';
import {
  COUNT_GUESS,
  countGuess,
  FORGET,
  ruleArguments,
  RULES,
  STRICT_RULES,
  TAKE_BACK,
  type GuessRecord,
  type GuessRules,
} from './guess-delay.js';
import type { RedisCounters } from './redis-counters.js';

const PREFIX = 'drawbridge:guesses:';
const MOST_KEYS = 100_000;

export interface GuessCounters {
  /** Counts a guess as a failure, atomically. @returns the milliseconds to wait instead; 0 when it may be made */
  count(key: string): Promise<number>;
  /** It was no guess after all. */
  takeBack(key: string): Promise<void>;
  /** It was right: whatever failed before is forgotten. @returns how many were counted in a row, itself included */
  forget(key: string): Promise<number>;
}

export class MemoryGuessCounters implements GuessCounters {
  private readonly records = boundedMap<GuessRecord>(MOST_KEYS);

  constructor(
    private readonly clock: Clock,
    private readonly rules: GuessRules = RULES,
  ) {}

  async count(key: string): Promise<number> {
    const outcome = countGuess(this.records.get(key), this.clock.now(), this.rules);
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

/** Shared by all instances. When Redis cannot be asked each counts for itself, by stricter rules. */
export class RedisGuessCounters implements GuessCounters {
  private readonly insurance: MemoryGuessCounters;
  private readonly arguments = ruleArguments(RULES);

  constructor(
    private readonly redis: RedisCounters,
    private readonly clock: Clock,
  ) {
    this.insurance = new MemoryGuessCounters(clock, STRICT_RULES);
  }

  async count(key: string): Promise<number> {
    const options = { keys: [PREFIX + key], arguments: [String(this.clock.now()), ...this.arguments] };
    const wait = await this.redis.eval(COUNT_GUESS, options).catch(() => null);
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
