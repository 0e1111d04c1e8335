import type { Time } from './time.js';

/** The subset of the Web Locks API that the client uses; `navigator.locks` implements it. */
export interface Locks {
  request<T>(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    callback: (lock: object | null) => Promise<T>,
  ): Promise<T>;
}

/** Longer than one exchange takes. A tab that keeps a lock longer is suspended, or its browser hangs. */
const TIMEOUT_MS = 5_000;

/**
 * Runs `work` while no other tab does, if possible. Without Web Locks, or if another tab does not release the lock in
 * time, `work` runs anyway: the server tolerates concurrent refreshes.
 * @param work is told whether it had to wait, that is, whether another tab may just have done the same
 */
export async function exclusively<T>(
  { locks, name, time }: { locks: Locks; name: string; time: Time },
  work: (waited: boolean) => Promise<T>,
): Promise<T> {
  let begun = false;
  const begin = (waited: boolean) => {
    begun = true;
    return work(waited);
  };
  const patience = new AbortController();
  const stopWaiting = time.after(TIMEOUT_MS, () => patience.abort());
  try {
    const atOnce = await locks.request(name, { ifAvailable: true }, async (lock) =>
      lock ? { value: await begin(false) } : null,
    );
    return atOnce ? atOnce.value : await locks.request(name, { signal: patience.signal }, () => begin(true));
  } catch (error) {
    if (begun) throw error;
    return await begin(true);
  } finally {
    stopWaiting();
  }
}

export function platformLocks(): Locks | undefined {
  return (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks;
}

/** A lock within one tab or one process, for platforms without Web Locks. All names share the same lock. */
export function localLocks(): Locks {
  let waiting: (() => void)[] = [];
  let held = false;
  return {
    async request(_name, { ifAvailable, signal }, callback) {
      if (held && ifAvailable) return callback(null);
      if (held) {
        await new Promise<void>((handOver, giveUp) => {
          waiting.push(handOver);
          signal?.addEventListener('abort', () => {
            waiting = waiting.filter((other) => other !== handOver);
            giveUp(signal.reason);
          });
        });
      }
      held = true;
      try {
        return await callback({});
      } finally {
        const next = waiting.shift();
        if (next) next();
        else held = false;
      }
    },
  };
}
