import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ACTS, CROSS_SITE_ATTEMPTS, DESCRIPTIONS } from './acts.js';
import { locate } from './deciding-code.js';

describe('the code that decides an act', () => {
  const decisions = ACTS.flatMap((act) =>
    DESCRIPTIONS[act].decidedBy.map((decision) => ({ act, ...decision })),
  );

  it.each(decisions)('of act $act is exactly once in $file: $code', async (decision) => {
    const { file, line, text } = await locate(decision);
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines[line! - 1]!.trim()).toBe(text);
    expect(text).toContain(decision.code);
  });

  it('is no comment', async () => {
    for (const decision of decisions) expect((await locate(decision)).text).not.toMatch(/^(\/\/|\/?\*)/);
  });

  it('has no line if it is missing or occurs twice, so that no report names a wrong line', async () => {
    for (const code of ['no such code', 'e']) {
      const decision = { file: 'src/features.ts', code, says: 'It decides.' };
      expect(await locate(decision)).toEqual({ ...decision, code: undefined, line: null, text: null });
    }
  });
});

it('The attempts that the server expects are those that the page of the thief makes.', () => {
  const page = readFileSync(join(import.meta.dirname, 'pages/thief.js'), 'utf8');
  const made = [...page.matchAll(/\bas: '([a-z-]+)'/g)].map(([, name]) => name);
  expect(made).toEqual([...CROSS_SITE_ATTEMPTS]);
});
