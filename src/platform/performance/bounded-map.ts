import { LRUCache } from 'lru-cache';

/**
 * A map that evicts the least recently used entries beyond a maximum. It grows as it is used: with the option `max`,
 * the library allocates space for all entries at once, 2 MB for 100,000.
 */
export function boundedMap<Value extends object | string>(
  most: number,
  options: { perf?: { now(): number }; ttlResolution?: number } = {},
): LRUCache<string, Value> {
  return new LRUCache<string, Value>({ ...options, maxSize: most, sizeCalculation: () => 1 });
}
