import type { Time } from './time.js';

/** What we use of the Web Locks API; `navigator.locks` is one. */
export interface Locks {
  request<T>(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    callback: (lock: object | null) => Promise<T>,
  ): Promise<T>;
}

/** Longer than one exchange takes. Whoever holds a lock for longer is suspended, or the tab of a browser that has hung. */
const PATIENCE_MS = 5_000;

/**
 * Does something while no other tab does it, as far as that can be had: where there are no locks, or their holder
 * does not let go, it is done all the same, since the server puts up with refreshes that race.
 * @param work is told whether it had to wait, and so whether somebody else may just have done it
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
  const stopWaiting = time.after(PATIENCE_MS, () => patience.abort());
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

/** For one tab, or one process, where there are no Web Locks. It has one lock, whatever it is called. */
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
