import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Breaker } from './breaker.js';

// Real: breaker.ts. The time is an argument.

const PROBE_MS = 500;

function broken(at = 0): Breaker {
  const breaker = new Breaker();
  for (let failure = 0; failure < 3; failure++) breaker.failed(at);
  return breaker;
}

describe('The circuit breaker', () => {
  test('The circuit breaker stays closed after two failures in a row', () => {
    const breaker = new Breaker();
    breaker.failed(0);
    breaker.failed(0);
    expect(breaker.allows(0)).toBe(true);
  });

  test('The circuit breaker opens after three failures in a row', () => {
    expect(broken().allows(0)).toBe(false);
    expect(broken().allows(PROBE_MS - 1)).toBe(false);
  });

  test('The circuit breaker does not add up failures with successes between them', () => {
    const breaker = new Breaker();
    for (let round = 0; round < 10; round++) {
      breaker.failed(round);
      breaker.failed(round);
      breaker.succeeded();
    }
    expect(breaker.allows(10)).toBe(true);
  });

  test('An open circuit breaker allows one attempt every half second, however many callers ask', () => {
    const breaker = broken();
    const asked = Array.from({ length: 1_001 }, (_, now) => breaker.allows(now) && now);
    expect(asked.filter((now) => now !== false)).toEqual([PROBE_MS, 2 * PROBE_MS]);
  });

  test('An open circuit breaker waits half a second from the failure of a probe, not from its start', () => {
    const breaker = broken();
    expect(breaker.allows(PROBE_MS)).toBe(true);
    breaker.failed(PROBE_MS + 400);
    expect(breaker.allows(2 * PROBE_MS)).toBe(false);
    expect(breaker.allows(2 * PROBE_MS + 400)).toBe(true);
  });

  test('The circuit breaker closes with the first success', () => {
    const breaker = broken();
    breaker.succeeded();
    expect([breaker.allows(1), breaker.allows(1), breaker.allows(1)]).toEqual([true, true, true]);
  });

  test('The circuit breaker allows an attempt at the latest half a second after any sequence of events', () => {
    const event = fc.record({
      what: fc.constantFrom('failed', 'succeeded', 'allows' as const),
      after: fc.nat(PROBE_MS * 2),
    });
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const breaker = new Breaker();
        let now = 0;
        for (const { what, after } of events) breaker[what]((now += after));
        expect(breaker.allows(now + PROBE_MS)).toBe(true);
      }),
    );
  });
});
