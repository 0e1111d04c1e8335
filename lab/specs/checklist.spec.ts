import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Real: the command that reads titles and writes the page, on a project of three rows. */
describe('the checklist', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'drawbridge-checklist-'));
    for (const folder of ['src', 'test', 'lab', 'packages/client/test', 'docs/security', 'docs/evidence'])
      mkdirSync(join(root, folder), { recursive: true });
    requirements();
    spec(GOOD);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const GOOD = `
    describe('a door [AAA-01]', () => {
      it('is shut', () => { expect(1).toBe(1); });
      it.each([1, 2])('opens for %s [AAA-02]', () => { expect(1).toBe(1); });
    });`;
  const row = (id: string, more: object = {}) => ({
    id,
    severity: 'H',
    requirement: `What ${id} wants.`,
    source: 'RFC 1',
    ...more,
  });
  const LATER = row('AAA-03', { notKept: { reason: 'It is not built.', instead: 'Build it.' } });
  const requirements = (rows: object[] = [row('AAA-01'), row('AAA-02'), LATER]) =>
    writeFileSync(join(root, 'docs/security/requirements.json'), JSON.stringify([{ title: 'Doors', rows }]));
  const spec = (text: string) => writeFileSync(join(root, 'test/door.spec.ts'), text);
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [resolve('lab/checklist/run.mjs'), ...args, root],
      {
        encoding: 'utf8',
      },
    );
    return { status, faults: stderr.trim() };
  };

  it('lists for each row the tests that keep it, or the reason why none does', () => {
    expect(run()).toEqual({ status: 0, faults: '' });
    const page = readFileSync(join(root, 'docs/evidence/checklist.md'), 'utf8');
    expect(page).toContain('`test/door.spec.ts`: a door (2 tests)');
    expect(page).toContain('`test/door.spec.ts`: a door › opens for %s');
    expect(page).toContain('not kept: It is not built. Build it.');
    expect(page).toContain('3 requirements: 2 are kept by tests, 1 are not kept');
    expect(run('--check')).toEqual({ status: 0, faults: '' });
  });

  const fails: [string, () => void, RegExp][] = [
    [
      'a row has neither a test nor a reason',
      () => requirements([row('AAA-01'), row('AAA-02'), row('AAA-03')]),
      /^AAA-03 has neither/,
    ],
    [
      'a reason has no remedy',
      () => requirements([row('AAA-01'), row('AAA-02'), { ...LATER, notKept: { reason: 'x' } }]),
      /^AAA-03 has neither/,
    ],
    [
      'a test keeps a row that is marked as not kept',
      () => spec(GOOD.replace('AAA-02', 'AAA-02, AAA-03')),
      /^AAA-03 has a test and/,
    ],
    [
      'a test names an unknown row',
      () => spec(GOOD.replace('AAA-02', 'AAA-02, AAA-99')),
      /there is no row AAA-99/,
    ],
    [
      'an id is not at the end of a title',
      () => spec(GOOD.replace('is shut', 'AAA-03 is shut')),
      /ids stand at the end/,
    ],
    [
      'a test with an id is not run',
      () => spec(GOOD.replace('it.each([1, 2])', 'it.skip')),
      /door\.spec\.ts:4: is not run/,
    ],
    [
      'a test with an id expects nothing',
      () => spec(`it('x [AAA-01, AAA-02]', () => { return 1; });`),
      /expects nothing/,
    ],
    [
      'a group with an id is empty',
      () => spec(`${GOOD}\ndescribe('no [AAA-01]', () => { expect(1); });`),
      /there is no test in it/,
    ],
    [
      'a row occurs twice',
      () => requirements([row('AAA-01'), row('AAA-01'), row('AAA-02'), LATER]),
      /AAA-01 is there twice/,
    ],
    [
      'the page is old',
      () => {
        run();
        spec(GOOD.replace('is shut', 'is open').replace('a door', 'a gate'));
      },
      /checklist\.md is old/,
    ],
    ['there is no page', () => undefined, /checklist\.md is old/],
  ];

  it.each(fails)('fails when %s', (_, act, fault) => {
    act();
    const { status, faults } = run('--check');
    expect(faults).toMatch(fault);
    expect(status).toBe(1);
  });
});
