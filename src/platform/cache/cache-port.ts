/** Any value that survives JSON unchanged. Values are compared by their JSON text. */
export type CacheValue = string | (string | number | null | string[])[];

/**
 * The cache as the session protocol needs it: plain values, and three atomic steps. Times to live are in
 * milliseconds, at least one. Every method may reject, which means that the cache could not be asked: callers then
 * fall back to PostgreSQL.
 *
 * Values written by `setIfAbsent` and `compareAndSet` are lost at the latest when another server replaces the one
 * that acknowledged them. The same applies when that server becomes master again. Values written by `setMany` may
 * outlive that.
 *
 * There are three implementations: Redis, which all instances share, the memory of this process, for a single
 * instance, and none, for a command beside such an instance.
 */
export abstract class CachePort {
  abstract readonly kind: 'redis' | 'memory' | 'absent';

  /**
   * Reads the values as JSON texts, in one round trip for all keys. Null for a key without a value, or if no server
   * could be asked for that key alone. A text may be malformed if another program has written it.
   */
  abstract readMany(keys: string[]): Promise<(string | null)[]>;

  /**
   * Sets each key atomically if it is absent, in one round trip for all. Returns true for each key that is known to
   * be set.
   */
  abstract setIfAbsent(entries: [key: string, value: CacheValue][], ttl: number): Promise<boolean[]>;

  /**
   * Replaces each value atomically if it still is `expected`, in one round trip for all. Returns true for each value
   * that is known to be replaced.
   */
  abstract compareAndSet(
    swaps: [key: string, expected: CacheValue, value: CacheValue][],
    ttl: number,
  ): Promise<boolean[]>;

  /** Resolves when the cache has acknowledged all values. */
  abstract setMany(entries: [key: string, value: CacheValue][], ttl: number): Promise<void>;

  /** Resolves when the cache has acknowledged all deletions. */
  abstract deleteMany(keys: string[]): Promise<void>;

  /** The reason why the cache cannot be used until an operator changes a setting; null if there is none. */
  get misconfiguration(): string | null {
    return null;
  }

  /** Rejects unless the cache answers. */
  abstract ping(): Promise<void>;
}

/** The cache could not be asked. */
export class CacheUnavailable extends Error {
  constructor(cause?: unknown) {
    super('the cache is unavailable', { cause });
  }
}
