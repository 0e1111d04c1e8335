import { expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';

/** Read: the table of `docs/operations/store-failures.md`, and the tests that it names. */

const PAGE = 'docs/operations/store-failures.md';
const COLUMNS = ['case', 'meanwhile', 'you do', 'works again', 'test'];

const lines = readFileSync(PAGE, 'utf8').split('\n');
const rows = lines
  .filter((line) => line.startsWith('|') && !line.startsWith('|---'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
  .filter(([first]) => first !== COLUMNS[0]);

it('the page about failures of stores has rows for both stores', () => {
  expect(rows.length).toBeGreaterThan(30);
});

it.each(rows.map((cells) => [cells[0]!, cells] as const))(
  'the page about failures of stores says everything of the case, and its test exists: %s',
  (_, cells) => {
    expect(cells).toEqual(COLUMNS.map(() => expect.stringMatching(/\S/)));
    const [, file, title] = /^`([\w./-]+\.spec\.ts)`: "([^"]+)"$/.exec(cells.at(-1)!) ?? [];
    expect({ file, title }).toEqual({ file: expect.any(String), title: expect.any(String) });
    expect(existsSync(file!)).toBe(true);
    expect(readFileSync(file!, 'utf8')).toContain(title);
  },
);
