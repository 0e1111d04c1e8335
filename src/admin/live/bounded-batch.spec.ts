import { describe, expect, it } from '@jest/globals';
import { BoundedBatch } from './bounded-batch.js';

describe('a bounded batch', () => {
  it('keeps the first items and counts the others', () => {
    const batch = new BoundedBatch<number>(3);
    batch.add([1, 2]);
    batch.add([3, 4, 5], 10);
    expect(batch.take()).toEqual({ items: [1, 2, 3], dropped: 12 });
    expect(batch.isEmpty).toBe(true);
  });

  it('is taken in parts, and the first part tells how many were dropped', () => {
    const batch = new BoundedBatch<number>(3);
    batch.add([1, 2, 3, 4]);
    expect(batch.take(2)).toEqual({ items: [1, 2], dropped: 1 });
    expect(batch.isEmpty).toBe(false);
    expect(batch.take(2)).toEqual({ items: [3], dropped: 0 });
    expect(batch.isEmpty).toBe(true);
  });

  it('is not empty while it has only a count', () => {
    const batch = new BoundedBatch<number>(0);
    batch.add([1]);
    expect(batch.isEmpty).toBe(false);
    expect(batch.take()).toEqual({ items: [], dropped: 1 });
  });
});
