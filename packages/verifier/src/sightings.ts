import type { FeedState } from './feed/feed-state.js';
import type { Time } from './time.js';

interface Waiter {
  seq: number;
  resolve: (isSeen: boolean) => void;
}

/** Those who wait until the list has a certain revocation, or until there is a list. */
export class Sightings {
  readonly ready: Promise<void>;
  private readonly waiters = new Set<Waiter>();
  private markReady!: () => void;

  constructor(
    private readonly state: FeedState,
    private readonly time: Time,
  ) {
    this.ready = new Promise((resolve) => (this.markReady = resolve));
  }

  /** Whether the list has the revocation with this number, now or within so many milliseconds. */
  of(seq: number, timeoutMs: number): Promise<boolean> {
    if (this.state.covers(seq)) return Promise.resolve(true);
    return new Promise((settle) => {
      const waiter = { seq, resolve: (isSeen: boolean) => (cancel(), settle(isSeen)) };
      const cancel = this.time.after(timeoutMs, () => this.end(waiter, false));
      this.waiters.add(waiter);
    });
  }

  /** Call it when the list has made progress. */
  look(): void {
    if (this.state.isListed) this.markReady();
    for (const waiter of this.waiters) if (this.state.covers(waiter.seq)) this.end(waiter, true);
  }

  private end(waiter: Waiter, isSeen: boolean): void {
    this.waiters.delete(waiter);
    waiter.resolve(isSeen);
  }
}
