import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { instantOf, lastUuidOf, random } from './random.js';

const instants = fc.integer({ min: 0, max: 2 ** 48 - 2 });

test('An id contains its instant, and ids sort by their instants', () => {
  fc.assert(
    fc.property(instants, (instant) => {
      const id = random.uuidAt(instant);
      expect(instantOf(id)).toBe(instant);
      expect(id <= lastUuidOf(instant)).toBe(true);
      expect(random.uuidAt(instant + 1) > lastUuidOf(instant)).toBe(true);
    }),
  );
});
