import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRODUCT } from '../../src/product.js';

/** Real: the source. */

const { name, slug } = PRODUCT;
const isProduct = existsSync('.template.json');
/** The name at the beginning of a text. A product may have a name that is also a word of the code. */
const IN_A_TEXT = `['"\`](urn:)?${slug}[:_. -]|['"\`]${name}\\b`;
/** The template's name is no word of the code, so it may stand nowhere. */
const NAMES = new RegExp(isProduct ? IN_A_TEXT : `drawbridge|Drawbridge|${IN_A_TEXT}`, 'g');

/** The packages stand alone, so each has a constant of its own. */
const CONSTANT_OF_A_PACKAGE = /^(export )?const PRODUCT = '[^']+';$/m;

function namesIn(folder: string): string[] {
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && file !== 'product.ts',
  );
  expect(files.length).toBeGreaterThan(3);
  return files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8').replace(CONSTANT_OF_A_PACKAGE, '');
    return [...text.matchAll(NAMES)].map(([found]) => `${file}: ${found}`);
  });
}

describe('the name of the product', () => {
  it.each(['src', 'packages/client/src', 'packages/verifier/src', 'packages/dev-postgres/src'])(
    'stands in one constant and nowhere else in %s',
    (folder) => {
      expect(namesIn(folder)).toEqual([]);
    },
  );

  it('is found in a text by the pattern of this test', () => {
    for (const text of ["'drawbridge:limit'", '`Drawbridge listens`', `'urn:${slug}:x'`, `"${slug}_total"`])
      expect(text).toMatch(NAMES);
  });
});
