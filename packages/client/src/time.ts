/** Clock and timers. Tests replace them. */
export interface Time {
  /** Milliseconds since the epoch, by the clock of this machine. */
  now(): number;
  /**
   * Runs a function later.
   * @returns a function that cancels it
   */
  after(ms: number, run: () => void): () => void;
}

export const systemTime: Time = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Settles as the promise does, or rejects as soon as the signal aborts. The operation behind the promise continues.
 */
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
/** The longest wait for one retry. If the server asks for more, the caller gets the error with `retryAfter`. */
const MAX_WAIT_MS = 10_000;

/** Computes the pauses between retries, and limits how long a caller waits. */
export class Patience {
  constructor(
    private readonly time: Time,
    private readonly random: () => number,
  ) {}

  /**
   * Waits before the next try. The pause doubles each time, and half of it is random, so that clients do not retry in
   * step.
   * @param retryAfter requested by the server, in ms; added to the pause
   * @returns false, immediately, if `retryAfter` is longer than the limit
   */
  async pause(failures: number, retryAfter = 0, signal?: AbortSignal | null): Promise<boolean> {
    if (retryAfter > MAX_WAIT_MS) return false;
    const backoff = FIRST_PAUSE_MS * 2 ** (failures - 1) * (0.5 + this.random() / 2);
    const timer: { cancel?: () => void } = {};
    const waited = new Promise<void>(
      (resolve) => (timer.cancel = this.time.after(retryAfter + backoff, resolve)),
    );
    await orAborted(waited, signal).finally(() => timer.cancel?.());
    return true;
  }

  /** `Retry-After` in ms. The header contains seconds or a date (RFC 9110 10.2.3). */
  retryAfterOf({ headers }: Response): number | undefined {
    const value = headers.get('retry-after');
    if (!value) return undefined;
    const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - this.time.now();
    return ms >= 0 ? ms : undefined;
  }
}
