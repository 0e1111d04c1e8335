import { LRUCache } from 'lru-cache';

/**
 * The bounded cache for everything but the guards of each request: a map that evicts the least recently used entries
 * beyond a maximum. It grows as it is used: with the option `max`, the library allocates space for all entries at
 * once, 2 MB for 100,000.
 *
 * Guards use `ClockCache`, whose look-ups are cheaper. It cannot replace this map: it has no time to live, and
 * it may evict an entry that was used more recently than another one.
 */
export function boundedMap<Value extends object | string | true>(
  most: number,
  options: { ttl?: number; perf?: { now(): number }; ttlResolution?: number } = {},
): LRUCache<string, Value> {
  return new LRUCache<string, Value>({ ...options, maxSize: most, sizeCalculation: () => 1 });
}
