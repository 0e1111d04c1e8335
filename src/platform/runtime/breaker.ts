const PROBE_INTERVAL_MS = 500;

/**
 * A circuit breaker. After three failures in a row, or another number, callers fail at once. Then one attempt is
 * allowed every half second, until one succeeds.
 */
export class Breaker {
  private failures = 0;
  private nextProbe = 0;

  constructor(private readonly failuresToOpen = 3) {}

  get isOpen(): boolean {
    return this.failures >= this.failuresToOpen;
  }

  /** @param now monotonic milliseconds */
  allows(now: number): boolean {
    if (!this.isOpen) return true;
    if (now < this.nextProbe) return false;
    this.nextProbe = now + PROBE_INTERVAL_MS;
    return true;
  }

  succeeded(): void {
    this.failures = 0;
  }

  failed(now: number): void {
    this.failures += 1;
    this.nextProbe = now + PROBE_INTERVAL_MS;
  }
}
