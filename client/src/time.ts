/** The clock and the timers, for tests to replace. */
export interface Time {
  /** Milliseconds since the epoch, by this machine. */
  now(): number;
  /** Runs something later. @returns what takes it back */
  after(ms: number, run: () => void): () => void;
}

export const systemTime: Time = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Settles as the promise does, or rejects as soon as the signal aborts. What the promise stands for goes on. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    const settled = () => signal.removeEventListener('abort', abort);
    promise.then(resolve, reject).finally(settled);
  });
}

const FIRST_PAUSE_MS = 500;
/** A caller waits no longer than this for one retry: a server that asks for more is taken at its word, by the caller. */
const LONGEST_WAIT_MS = 10_000;

/** When to try again what has failed so often, and how long a client may want to wait for it. */
export class Patience {
  constructor(
    private readonly time: Time,
    private readonly random: () => number,
  ) {}

  /**
   * Waits before the next try: twice as long each time, half of it by chance, so that clients do not come back in step.
   * @param retryAfter what the server asked for, in ms; it comes on top
   * @returns false, at once, when that would take too long
   */
  async pause(failures: number, retryAfter = 0, signal?: AbortSignal | null): Promise<boolean> {
    if (retryAfter > LONGEST_WAIT_MS) return false;
    const backoff = FIRST_PAUSE_MS * 2 ** (failures - 1) * (0.5 + this.random() / 2);
    const timer: { cancel?: () => void } = {};
    const waited = new Promise<void>(
      (resolve) => (timer.cancel = this.time.after(retryAfter + backoff, resolve)),
    );
    await orAborted(waited, signal).finally(() => timer.cancel?.());
    return true;
  }

  /** `Retry-After` in ms: seconds, or a date (RFC 9110 10.2.3). */
  retryAfterOf({ headers }: Response): number | undefined {
    const value = headers.get('retry-after');
    if (!value) return undefined;
    const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - this.time.now();
    return ms >= 0 ? ms : undefined;
  }
}
