import { beforeEach, describe, expect, it } from '@jest/globals';
import { ClockCache } from './clock-cache.js';

describe('A cache with a weight limit', () => {
  let memory: ClockCache<number>;
  /** The weight of a value is the value itself. */
  const known = (...keys: string[]) => keys.filter((key) => memory.get(key) !== undefined);

  beforeEach(() => {
    memory = new ClockCache(10, (value) => value);
  });

  it('The cache never exceeds its weight limit, however many entries are added', () => {
    for (let count = 0; count < 10_000; count += 1) {
      memory.set(`${count % 37}`, count % 7);
      if (count % 3 === 0) memory.get(`${count % 5}`);
      if (count % 11 === 0) memory.delete(`${count % 13}`);
      expect(memory.weight).toBeLessThanOrEqual(10);
    }
    const weights = Array.from({ length: 37 }, (_, key) => memory.get(`${key}`) ?? 0);
    expect(weights.reduce((sum, weight) => sum + weight)).toBe(memory.weight);
  });

  it('The cache keeps entries that are used and evicts those that are not', () => {
    for (const key of ['a', 'b', 'c', 'd', 'e']) memory.set(key, 2);
    memory.set('f', 2); // no entry has been passed over yet, so the oldest leaves
    expect(known('a', 'f')).toEqual(['f']);
    for (let next = 0; next < 100; next += 1) {
      memory.get('c');
      memory.set(`${next}`, 2);
    }
    expect(known('b', 'c', 'd', 'e', 'f')).toEqual(['c']);
  });

  it('The cache replaces the value of a key and counts the new weight', () => {
    memory.set('a', 3);
    memory.set('a', 5);
    expect([memory.get('a'), memory.weight, memory.size]).toEqual([5, 5, 1]);
    memory.delete('a');
    memory.delete('a');
    expect([memory.get('a'), memory.weight, memory.size]).toEqual([undefined, 0, 0]);
  });

  it('The cache does not store a value that is heavier than its limit', () => {
    memory.set('a', 11);
    expect([memory.get('a'), memory.weight]).toEqual([undefined, 0]);
    memory.set('a', 10);
    expect(memory.get('a')).toBe(10);
  });
});
