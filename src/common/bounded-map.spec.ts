import { describe, expect, it } from '@jest/globals';
import { boundedMap } from './bounded-map.js';

describe('a bounded map', () => {
  it('holds so many and no more: the least recently used leaves', () => {
    const map = boundedMap<string>(3);
    for (const key of ['a', 'b', 'c']) map.set(key, key);
    map.get('a');
    map.set('d', 'd');
    expect([...map.keys()].sort()).toEqual(['a', 'c', 'd']);
  });

  it('is not filled by one who comes again', () => {
    const map = boundedMap<string>(2);
    map.set('a', 'a');
    for (let count = 0; count < 10; count += 1) map.set('b', `${count}`);
    expect(map.get('a')).toBe('a');
  });
});
