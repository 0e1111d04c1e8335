import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AlignedClock, Clock } from './clock.js';

/** Pure: the clocks of the machine and of the database are the test's. */

class MachineClock extends Clock {
  time = 1_000_000;

  override now(): number {
    return this.time;
  }
}

const ms = fc.integer({ min: 0, max: 3_000 });

describe('the clock that is compared with the database', () => {
  it('knows the time of the database with an error of at most the duration of the comparison', () => {
    fc.assert(
      fc.property(fc.integer({ min: -20_000, max: 20_000 }), ms, ms, ms, (ahead, there, back, later) => {
        const machine = new MachineClock();
        const clock = new AlignedClock(machine);
        const askedAt = machine.time;
        machine.time += there;
        const answer = machine.time - ahead;
        machine.time += back;
        clock.compare(answer, askedAt);
        machine.time += later;
        expect(clock.tolerance).toBe(there + back);
        expect(Math.abs(clock.databaseTime() - (machine.time - ahead))).toBeLessThanOrEqual(clock.tolerance);
      }),
    );
  });
});
