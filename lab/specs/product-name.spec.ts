import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRODUCT } from '../../src/product.js';

/** Real: the source. */

const { name, slug } = PRODUCT;
/** The name that this template came with, anywhere, and the name of today at the beginning of a text. */
const NAMES = new RegExp(`[Dd]rawbridge|['"\`](urn:)?${slug}[:_. -]|['"\`]${name}\\b`, 'g');

function namesIn(folder: string): string[] {
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && file !== 'product.ts',
  );
  expect(files.length).toBeGreaterThan(10);
  return files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(NAMES)].map(([found]) => `${file}: ${found}`),
  );
}

describe('the name of the product', () => {
  it.each(['src', 'packages/client/src'])('stands in product.ts and in no other file of %s', (folder) => {
    expect(namesIn(folder)).toEqual([]);
  });

  it('is found in a text by the pattern of this test', () => {
    for (const text of ["'drawbridge:limit'", '`Drawbridge listens`', `'urn:${slug}:x'`, `"${slug}_total"`])
      expect(text).toMatch(NAMES);
  });
});
