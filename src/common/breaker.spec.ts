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

describe('the breaker', () => {
  test('lets two failures in a row pass as bad luck', () => {
    const breaker = new Breaker();
    breaker.failed(0);
    breaker.failed(0);
    expect(breaker.allows(0)).toBe(true);
  });

  test('opens after three failures in a row', () => {
    expect(broken().allows(0)).toBe(false);
    expect(broken().allows(PROBE_MS - 1)).toBe(false);
  });

  test('does not add up failures with successes between them', () => {
    const breaker = new Breaker();
    for (let round = 0; round < 10; round++) {
      breaker.failed(round);
      breaker.failed(round);
      breaker.succeeded();
    }
    expect(breaker.allows(10)).toBe(true);
  });

  test('lets one attempt through each half second, however many ask', () => {
    const breaker = broken();
    const asked = Array.from({ length: 1_001 }, (_, now) => breaker.allows(now) && now);
    expect(asked.filter((now) => now !== false)).toEqual([PROBE_MS, 2 * PROBE_MS]);
  });

  test('waits half a second from the failure of a probe, not from its beginning', () => {
    const breaker = broken();
    expect(breaker.allows(PROBE_MS)).toBe(true);
    breaker.failed(PROBE_MS + 400);
    expect(breaker.allows(2 * PROBE_MS)).toBe(false);
    expect(breaker.allows(2 * PROBE_MS + 400)).toBe(true);
  });

  test('closes with the first success', () => {
    const breaker = broken();
    breaker.succeeded();
    expect([breaker.allows(1), breaker.allows(1), breaker.allows(1)]).toEqual([true, true, true]);
  });

  test('never stays open for good: half a second after whatever happened it lets somebody through', () => {
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
