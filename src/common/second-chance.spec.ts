import { beforeEach, describe, expect, it } from '@jest/globals';
import { SecondChance } from './second-chance.js';

describe('what is remembered up to a weight', () => {
  let memory: SecondChance<number>;
  /** Each weighs what it is. */
  const known = (...keys: string[]) => keys.filter((key) => memory.get(key) !== undefined);

  beforeEach(() => {
    memory = new SecondChance(10, (value) => value);
  });

  it('never weighs more than that, however many there are', () => {
    for (let count = 0; count < 10_000; count += 1) {
      memory.set(`${count % 37}`, count % 7);
      if (count % 3 === 0) memory.get(`${count % 5}`);
      if (count % 11 === 0) memory.delete(`${count % 13}`);
      expect(memory.weight).toBeLessThanOrEqual(10);
    }
    const weights = Array.from({ length: 37 }, (_, key) => memory.get(`${key}`) ?? 0);
    expect(weights.reduce((sum, weight) => sum + weight)).toBe(memory.weight);
  });

  it('keeps what is used, and parts with what is not', () => {
    for (const key of ['a', 'b', 'c', 'd', 'e']) memory.set(key, 2);
    memory.set('f', 2); // nobody has been passed over yet: the oldest leaves
    expect(known('a', 'f')).toEqual(['f']);
    for (let next = 0; next < 100; next += 1) {
      memory.get('c');
      memory.set(`${next}`, 2);
    }
    expect(known('b', 'c', 'd', 'e', 'f')).toEqual(['c']);
  });

  it('puts a new value where the old one was, and counts what it weighs now', () => {
    memory.set('a', 3);
    memory.set('a', 5);
    expect([memory.get('a'), memory.weight, memory.size]).toEqual([5, 5, 1]);
    memory.delete('a');
    memory.delete('a');
    expect([memory.get('a'), memory.weight, memory.size]).toEqual([undefined, 0, 0]);
  });

  it('cannot remember what is heavier than all of it', () => {
    memory.set('a', 11);
    expect([memory.get('a'), memory.weight]).toEqual([undefined, 0]);
    memory.set('a', 10);
    expect(memory.get('a')).toBe(10);
  });
});
