/**
 * The only source of time. Instants are milliseconds since the epoch.
 *
 * Two clocks matter: this process' own, and the database's, which rules over everything that is
 * written down (RFC 6819 5.1.5.3 asks for one authority). Both pass through here, so that a test
 * can move them together and nothing ever sleeps.
 */
export abstract class Clock {
  abstract now(): number;

  /** An instant that the database read off its own clock. */
  fromDatabase(instant: Date): number {
    return instant.getTime();
  }

  /** Never jumps; for measuring how long something took, in milliseconds. */
  monotonic(): number {
    return performance.now();
  }
}

export class SystemClock extends Clock {
  override now(): number {
    return Date.now();
  }
}
