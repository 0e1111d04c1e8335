import { Clock } from '../../src/common/clock.js';

/** The real time, moved on by as much as a test says: this process' and the database's together. */
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

/** The monotonic time, by which an instance judges what it has last heard, passes only when a test says so. */
export class SteadyClock extends TestClock {
  private steady = 0;

  override monotonic(): number {
    return this.steady;
  }

  advanceSteadily(ms: number): void {
    this.steady += ms;
  }
}

/** A time that passes only when a test says so, here and in the database: for promises that hold to the millisecond. */
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
