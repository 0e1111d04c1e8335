/**
 * The only source of time. Instants are milliseconds since the epoch.
 *
 * Two clocks matter: this process' own, and the database's, which rules over everything that is
 * written down (RFC 6819 5.1.5.3 asks for one authority). Both pass through here, so that a test
 * can move them together and nothing ever sleeps.
 */
export abstract class Clock {
  abstract now(): number;

  /** As {@link now}, without any correction: what the machine's clock says. */
  uncorrected(): number {
    return this.now();
  }

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

/** Clocks may differ by so much: what is compared across machines allows for it. */
export const MAX_CLOCK_OFFSET_MS = 5_000;

/**
 * The machine's clock, compared with the database's again and again. Within {@link MAX_CLOCK_OFFSET_MS} it is used as
 * it is. Beyond, the instance goes by the database's time: a session or a token must not depend on which instance judges it.
 */
export class AlignedClock extends Clock {
  /** Milliseconds by which the machine's clock was ahead of the database's at the last comparison. */
  offset = 0;
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

  /** Whether the clocks differ by more than is allowed for. Such an instance should get no traffic. */
  get isOff(): boolean {
    return Math.abs(this.offset) > MAX_CLOCK_OFFSET_MS;
  }

  /**
   * @param database what the database's clock said, by {@link fromDatabase}
   * @param askedAt what {@link uncorrected} said before the database was asked; the time that the answer took is allowed for
   */
  compare(database: number, askedAt: number): void {
    const now = this.machine.now();
    const isAhead = database < askedAt;
    this.offset = isAhead ? askedAt - database : Math.min(0, now - database);
    this.compared = { clock: now, monotonic: this.machine.monotonic() };
  }

  /**
   * By how much the machine's clock has been set back since the last comparison, if that was just now. A suspended machine
   * only makes it jump forward.
   */
  private setBack(now: number): number {
    if (!this.compared) return 0;
    const elapsed = this.machine.monotonic() - this.compared.monotonic;
    if (elapsed > MAX_CLOCK_OFFSET_MS) return 0;
    const missing = this.compared.clock + elapsed - now;
    return missing > MAX_CLOCK_OFFSET_MS ? missing : 0;
  }
}
