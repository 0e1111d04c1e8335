import { describe, expect, it } from '@jest/globals';
import { boundedMap } from './bounded-map.js';

describe('A bounded map', () => {
  it('A bounded map keeps at most its maximum of entries, and the least recently used one leaves first', () => {
    const map = boundedMap<string>(3);
    for (const key of ['a', 'b', 'c']) map.set(key, key);
    map.get('a');
    map.set('d', 'd');
    expect([...map.keys()].sort()).toEqual(['a', 'c', 'd']);
  });

  it('A bounded map does not evict an entry when another key is set again and again', () => {
    const map = boundedMap<string>(2);
    map.set('a', 'a');
    for (let count = 0; count < 10; count += 1) map.set('b', `${count}`);
    expect(map.get('a')).toBe('a');
  });
});
