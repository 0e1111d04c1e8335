/** The platform's clocks and timers. Tests replace them. Times are in milliseconds. */
export interface Time {
  /** The wall clock, since the epoch. */
  now(): number;
  /** A clock that never jumps. */
  monotonic(): number;
  /** Calls back after so many milliseconds, and keeps no process alive. @returns a function that cancels */
  after(ms: number, call: () => void): () => void;
}

export const systemTime: Time = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Between 0 and 1, to spread the reconnections of many verifiers. */
export function randomFraction(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}

/** Resolves after so many milliseconds, or when the signal aborts. */
export function pause(time: Time, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = time.after(ms, end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

/**
 * The clock by which tokens expire. It never runs behind a time that the application has signed, so a machine whose
 * clock was set back accepts no expired token.
 */
export class FlooredClock {
  private floor = -Infinity;

  constructor(private readonly time: Time) {}

  now(): number {
    return Math.max(this.time.now(), this.floor + this.time.monotonic());
  }

  /** Takes note of an authentic time of the application. */
  observe(instant: number): void {
    this.floor = Math.max(this.floor, instant - this.time.monotonic());
  }
}
