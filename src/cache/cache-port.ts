/** Anything that survives JSON unchanged; compared by its JSON text. */
export type CacheValue = string | (string | number | null | string[])[];

/**
 * What the session protocol needs of a cache: plain values, and three steps that are atomic.
 * Times to live are milliseconds, at least one. Every method may reject, which means that the
 * cache could not be asked: callers fall back to PostgreSQL.
 *
 * What `setIfAbsent` and `compareAndSet` wrote is forgotten at the latest when another server takes the place of the
 * one that was told, or the same one a second time. What `setMany` wrote may outlive that.
 *
 * Two forms: Redis, shared by all instances, and this process' memory, for one.
 */
export abstract class CachePort {
  abstract readonly kind: 'redis' | 'memory';

  /**
   * The values as JSON texts, in one round trip for all keys; null where there is nothing, or nobody who could be asked for that
   * key alone. A text need not be JSON where somebody else has written it.
   */
  abstract readMany(keys: string[]): Promise<(string | null)[]>;

  /** For each key, atomically: sets it if it is absent. One round trip for all. Says which are known to be set. */
  abstract setIfAbsent(entries: [key: string, value: CacheValue][], ttl: number): Promise<boolean[]>;

  /** For each key, atomically: replaces the value if it still is `expected`. One round trip for all. Says which are known to be replaced. */
  abstract compareAndSet(
    swaps: [key: string, expected: CacheValue, value: CacheValue][],
    ttl: number,
  ): Promise<boolean[]>;

  /** Resolves when the cache has acknowledged all of them. */
  abstract setMany(entries: [key: string, value: CacheValue][], ttl: number): Promise<void>;

  /** Resolves when the cache has acknowledged all of them. */
  abstract deleteMany(keys: string[]): Promise<void>;

  /** Why it cannot be used before somebody changes a setting; null when there is no such reason. */
  get misconfiguration(): string | null {
    return null;
  }

  /** Rejects unless the cache answers. */
  abstract ping(): Promise<void>;
}

export class CacheUnavailable extends Error {
  constructor(cause?: unknown) {
    super('the cache is unavailable', { cause });
  }
}
