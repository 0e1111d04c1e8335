/**
 * The only source of time. Instants are milliseconds since the epoch.
 *
 * There are two clocks: that of this process and that of the database, which is authoritative for all stored times
 * (RFC 6819 5.1.5.3 asks for one authority). Code reads both through this class, so that a test can move them
 * together and never has to sleep.
 */
export abstract class Clock {
  abstract now(): number;

  /** As {@link now}, without any correction: the machine's clock. */
  uncorrected(): number {
    return this.now();
  }

  /** An instant that the database read from its own clock. */
  fromDatabase(instant: Date): number {
    return instant.getTime();
  }

  /** A clock that never jumps, for measuring durations in milliseconds. */
  monotonic(): number {
    return performance.now();
  }
}

/** The machine's clock. */
export class SystemClock extends Clock {
  override now(): number {
    return Date.now();
  }
}

/** Maximum difference between clocks in ms. Comparisons across machines allow for it. */
export const MAX_CLOCK_OFFSET_MS = 5_000;

/**
 * The machine's clock, regularly compared with the database's. Within {@link MAX_CLOCK_OFFSET_MS} it is used
 * unchanged. Beyond, the instance uses the database's time: the validity of a session or token must not depend on the
 * instance that checks it.
 */
export class AlignedClock extends Clock {
  /** Milliseconds by which the machine's clock was ahead of the database's at the last comparison. */
  offset = 0;
  /** The greatest possible error of {@link offset}: the duration of the last comparison, in milliseconds. */
  tolerance = 0;
  private compared: { clock: number; monotonic: number } | null = null;

  constructor(private readonly machine: Clock) {
    super();
  }

  override now(): number {
    const now = this.machine.now();
    return now - (this.isOff ? this.offset : 0) + this.setBack(now);
  }

  override uncorrected(): number {
    return this.machine.now();
  }

  override fromDatabase(instant: Date): number {
    return this.machine.fromDatabase(instant);
  }

  override monotonic(): number {
    return this.machine.monotonic();
  }

  /** The database's time by the last comparison. It is wrong by at most {@link tolerance}. */
  databaseTime(): number {
    return this.machine.now() - this.offset;
  }

  /** Whether the clocks differ by more than {@link MAX_CLOCK_OFFSET_MS}. Such an instance should get no traffic. */
  get isOff(): boolean {
    return Math.abs(this.offset) > MAX_CLOCK_OFFSET_MS;
  }

  /**
   * @param database the database's time, from {@link fromDatabase}
   * @param askedAt {@link uncorrected} before the query; the duration of the query is allowed for
   */
  compare(database: number, askedAt: number): void {
    const now = this.machine.now();
    const isAhead = database < askedAt;
    this.tolerance = Math.max(0, now - askedAt);
    this.offset = isAhead ? askedAt - database : Math.min(0, now - database);
    this.compared = { clock: now, monotonic: this.machine.monotonic() };
  }

  /**
   * The ms by which the machine's clock was set back since the last comparison, if that was a moment ago. A suspended
   * machine only jumps forward.
   */
  private setBack(now: number): number {
    if (!this.compared) return 0;
    const elapsed = this.machine.monotonic() - this.compared.monotonic;
    if (elapsed > MAX_CLOCK_OFFSET_MS) return 0;
    const missing = this.compared.clock + elapsed - now;
    return missing > MAX_CLOCK_OFFSET_MS ? missing : 0;
  }
}
