import { Clock } from '../../src/platform/runtime/clock.js';

/** The real time plus an offset that the test sets, for this process and the database together. */
export class TestClock extends Clock {
  private offset = 0;

  advance(ms: number): void {
    this.offset += ms;
  }

  override now(): number {
    return Date.now() + this.offset;
  }

  override fromDatabase(instant: Date): number {
    return instant.getTime() + this.offset;
  }
}

/** The monotonic time, by which an instance judges the age of its news, passes only when a test advances it. */
export class SteadyClock extends TestClock {
  private steady = 0;

  override monotonic(): number {
    return this.steady;
  }

  advanceSteadily(ms: number): void {
    this.steady += ms;
  }
}

/**
 * A time that passes only when a test advances it, here and in the database: for promises that are exact to the
 * millisecond.
 */
export class StoppedClock extends TestClock {
  private time = Date.now();

  override advance(ms: number): void {
    this.time += ms;
  }

  override now(): number {
    return this.time;
  }

  override fromDatabase(): number {
    return this.time;
  }
}
