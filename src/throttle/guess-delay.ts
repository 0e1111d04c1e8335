/** How guesses at one secret slow down. Durations are milliseconds. */
export interface GuessRules {
  /** Failures in a row that cost nothing. */
  free: number;
  firstDelay: number;
  longestDelay: number;
  /** So many in a row and no more (NIST SP 800-63B-4 3.2.2), before `memory` is over. */
  bound: number;
  /** Failures are forgotten so long after the last one that was counted. */
  memory: number;
}

export const RULES: GuessRules = {
  free: 10,
  firstDelay: 30_000,
  longestDelay: 3_600_000,
  bound: 100,
  memory: 86_400_000,
};

/** For an instance that counts alone, and does not know what the others have let pass. */
export const STRICT_RULES: GuessRules = { ...RULES, free: 5 };

/** What is remembered of the guesses at one secret, by one kind of guesser. */
export interface GuessRecord {
  /** In a row, those under way included. */
  failures: number;
  /** Nobody may guess before. */
  nextAt: number;
  /** When the last one was counted. */
  at: number;
}

/** 30 s after the last free failure, then twice as long each time, up to an hour. */
export function delayAfter(failures: number, { free, firstDelay, longestDelay, bound, memory }: GuessRules) {
  if (failures < free) return 0;
  // Nothing is for good: that would be a lock in the hands of strangers.
  if (failures >= bound) return memory;
  return Math.min(firstDelay * 2 ** (failures - free), longestDelay);
}

/** @returns the milliseconds to wait, or the record with the guess counted as a failure until it proves right */
export function countGuess(
  known: GuessRecord | undefined,
  now: number,
  rules: GuessRules,
): { wait: number } | { wait: 0; record: GuessRecord } {
  const isForgotten = known === undefined || known.at + rules.memory <= now;
  const before = isForgotten ? { failures: 0, nextAt: 0 } : known;
  // What is refused is not counted: nobody can make the wait longer by asking.
  if (before.nextAt > now) return { wait: before.nextAt - now };
  const failures = before.failures + 1;
  return { wait: 0, record: { failures, nextAt: now + delayAfter(failures, rules), at: now } };
}

/**
 * {@link countGuess} where the counters are shared, in one step.
 * KEYS: the record. ARGV: now, and the rules in the order of {@link ruleArguments}. Answers the wait.
 */
export const COUNT_GUESS = `
  local now, free, first, longest, bound, memory =
    tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local known = redis.call('hmget', KEYS[1], 'failures', 'nextAt', 'at')
  local failures, nextAt = 0, 0
  if known[1] and tonumber(known[3]) + memory > now then failures, nextAt = tonumber(known[1]), tonumber(known[2]) end
  if nextAt > now then return nextAt - now end
  failures = failures + 1
  local delay = 0
  if failures >= bound then delay = memory
  elseif failures >= free then delay = math.min(first * 2 ^ (failures - free), longest) end
  redis.call('hset', KEYS[1], 'failures', failures, 'nextAt', string.format('%.0f', now + delay), 'at', ARGV[1])
  redis.call('pexpire', KEYS[1], memory)
  return 0`;

/** It was no guess after all: KEYS as above. */
export const TAKE_BACK = `
  local failures = tonumber(redis.call('hget', KEYS[1], 'failures') or 0)
  if failures == 0 then return 0 end
  redis.call('hset', KEYS[1], 'failures', failures - 1, 'nextAt', 0)
  return 1`;

/** It was right: answers how many were counted in a row, itself included. KEYS as above. */
export const FORGET = `
  local failures = tonumber(redis.call('hget', KEYS[1], 'failures') or 0)
  redis.call('del', KEYS[1])
  return failures`;

export function ruleArguments({ free, firstDelay, longestDelay, bound, memory }: GuessRules): string[] {
  return [free, firstDelay, longestDelay, bound, memory].map(String);
}
