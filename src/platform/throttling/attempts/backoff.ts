/** How attempts at one secret are delayed. Durations are in milliseconds. */
export interface BackoffRules {
  /** Failures in a row without a delay. */
  free: number;
  firstDelay: number;
  longestDelay: number;
  /** The maximum number of failures in a row before `memory` has passed (NIST SP 800-63B-4 3.2.2). */
  bound: number;
  /** How long after the last counted attempt the failures are forgotten. */
  memory: number;
}

export const RULES: BackoffRules = {
  free: 10,
  firstDelay: 30_000,
  longestDelay: 3_600_000,
  bound: 100,
  memory: 86_400_000,
};

/** For an instance that counts alone and does not know the attempts on other instances. */
export const STRICT_RULES: BackoffRules = { ...RULES, free: 5 };

/** The attempts at one secret, by one kind of client. */
export interface AttemptRecord {
  /** Failures in a row, including attempts that are not decided yet. */
  failures: number;
  /** The earliest time of the next attempt. */
  nextAt: number;
  /** When the last attempt was counted. */
  at: number;
}

/** 30 s after the last free failure, then twice as long each time, up to an hour. */
export function backoffAfter(
  failures: number,
  { free, firstDelay, longestDelay, bound, memory }: BackoffRules,
) {
  if (failures < free) return 0;
  // No block is permanent: otherwise an attacker could lock the owner out.
  if (failures >= bound) return memory;
  return Math.min(firstDelay * 2 ** (failures - free), longestDelay);
}

/**
 * Counts an attempt as failed until it succeeds.
 *
 * @returns the milliseconds to wait, or the new record
 */
export function countAttempt(
  known: AttemptRecord | undefined,
  now: number,
  rules: BackoffRules,
): { wait: number } | { wait: 0; record: AttemptRecord } {
  const isForgotten = known === undefined || known.at + rules.memory <= now;
  const before = isForgotten ? { failures: 0, nextAt: 0 } : known;
  // A refused attempt is not counted, so repeated requests cannot extend the delay.
  if (before.nextAt > now) return { wait: before.nextAt - now };
  const failures = before.failures + 1;
  return { wait: 0, record: { failures, nextAt: now + backoffAfter(failures, rules), at: now } };
}

/**
 * {@link countAttempt} as one atomic script, for shared counters. KEYS: the record. ARGV: the current time, then the
 * rules in the order of {@link ruleArguments}. Returns the time to wait.
 */
export const COUNT_ATTEMPT = `
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

/** Removes an attempt that was not evaluated. KEYS as above. */
export const TAKE_BACK = `
  local failures = tonumber(redis.call('hget', KEYS[1], 'failures') or 0)
  if failures == 0 then return 0 end
  redis.call('hset', KEYS[1], 'failures', failures - 1, 'nextAt', 0)
  return 1`;

/**
 * Removes all failures after a successful attempt. Returns how many attempts in a row were counted, including this
 * one. KEYS as above.
 */
export const FORGET = `
  local failures = tonumber(redis.call('hget', KEYS[1], 'failures') or 0)
  redis.call('del', KEYS[1])
  return failures`;

export function ruleArguments({ free, firstDelay, longestDelay, bound, memory }: BackoffRules): string[] {
  return [free, firstDelay, longestDelay, bound, memory].map(String);
}
