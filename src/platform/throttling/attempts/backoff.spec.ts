import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  countAttempt,
  backoffAfter,
  RULES,
  STRICT_RULES,
  type AttemptRecord,
  type BackoffRules,
} from './backoff.js';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/**
 * An attacker that tries again as soon as the limiter allows it.
 *
 * @returns when each attempt was counted
 */
function guessOnAndOn(rules: BackoffRules, until: number): number[] {
  const times: number[] = [];
  let record: AttemptRecord | undefined;
  for (let now = 0; now < until;) {
    const outcome = countAttempt(record, now, rules);
    if ('record' in outcome) {
      record = outcome.record;
      times.push(now);
    } else now += outcome.wait;
  }
  return times;
}

describe('attempts at one secret', () => {
  it('attempts are free up to the tenth, then wait 30 s, twice as long each time, and an hour at most [AUT-03]', () => {
    expect([1, 9].map((failures) => backoffAfter(failures, RULES))).toEqual([0, 0]);
    const growing = [10, 11, 12, 13, 14, 15, 16].map((failures) => backoffAfter(failures, RULES) / 1_000);
    expect(growing).toEqual([30, 60, 120, 240, 480, 960, 1920]);
    for (const failures of [17, 40, 99]) expect(backoffAfter(failures, RULES)).toBe(HOUR);
  });

  it('after a hundred failed attempts in a row the next one waits a day, so the account is never locked for good [AUT-03, AUT-06]', () => {
    expect(backoffAfter(100, RULES)).toBe(DAY);
    expect(backoffAfter(1e6, RULES)).toBe(DAY);
    const times = guessOnAndOn(RULES, 30 * DAY);
    expect(times[100]! - times[99]!).toBe(DAY);
    // A patient attacker, in a month, against a secret of 15 characters.
    expect(times.length).toBeLessThan(750);
  });

  it('an instance that counts alone allows fewer free attempts', () => {
    expect(backoffAfter(4, STRICT_RULES)).toBe(0);
    expect(backoffAfter(5, STRICT_RULES)).toBe(30_000);
    expect(guessOnAndOn(STRICT_RULES, MINUTE).length).toBeLessThan(guessOnAndOn(RULES, MINUTE).length);
  });

  it('failed attempts are forgotten exactly a day after the last counted one', () => {
    const record = { failures: 12, nextAt: 0, at: 1_000 };
    expect(countAttempt(record, 1_000 + DAY - 1, RULES)).toMatchObject({ record: { failures: 13 } });
    expect(countAttempt(record, 1_000 + DAY, RULES)).toMatchObject({ record: { failures: 1 } });
  });

  it('refused attempts do not count, so that repeated requests cannot extend the delay', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 29_999 }), { maxLength: 50 }), (instants) => {
        const record = { failures: 10, nextAt: 30_000, at: 0 };
        for (const now of instants) expect(countAttempt(record, now, RULES)).toEqual({ wait: 30_000 - now });
        expect(countAttempt(record, 30_000, RULES)).toMatchObject({ record: { failures: 11 } });
      }),
    );
  });
});
