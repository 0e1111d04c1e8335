import { LRUCache } from 'lru-cache';

/**
 * Forgets the least recently used beyond so many. It grows as it is used: with `max` the library lays out room for all of
 * them at once, 2 MB for 100,000 that may never come.
 */
export function boundedMap<Value extends object | string>(
  most: number,
  options: { perf?: { now(): number }; ttlResolution?: number } = {},
): LRUCache<string, Value> {
  return new LRUCache<string, Value>({ ...options, maxSize: most, sizeCalculation: () => 1 });
}
