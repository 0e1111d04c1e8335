/**
 * Generates a feature of each tier in a copy, and checks that nothing is left to edit: format, lint, prose, types,
 * imports, the tests of the features, and the tests that read every route. It also checks which options are refused.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree } from './copy.mjs';

const FEATURES = [
  ['notices', '--tier', 'public'],
  ['bookmarks', '--tier', 'access'],
  ['user-entries'],
  ['addresses', '--tier', 'strict', '--singular', 'address'],
];
const REFUSED = [
  [[], 'Give the feature one name.'],
  [['Notes'], 'is not a name'],
  [['notes', '--tier', 'fast'], 'is not a tier'],
  [['notes', '--colour'], "Unknown option '--colour'"],
  [['sheep'], 'Name one of the sheep: --singular <name>.'],
  [['news'], '"new" cannot be used.'],
  [['users'], 'src/users exists already.'],
  [['payments'], 'A table cannot have the name payments'],
  [['problems'], 'needs the name Problem itself'],
  [['bookmarks'], 'src/bookmarks exists already.'],
];

const { copy, run } = copyTree('generate');
for (const feature of FEATURES) run('npm', 'run', '-s', 'generate', '--', ...feature);
for (const [options, reason] of REFUSED) {
  const { status, stderr } = spawnSync('node', ['tools/generate.mjs', ...options], {
    cwd: copy,
    encoding: 'utf8',
  });
  assert.equal(status, 1, options.join(' '));
  assert(stderr.includes(reason) && stderr.includes('Usage: '), stderr);
}
const lines = readFileSync(join(copy, 'src/features.ts'), 'utf8').match(/^export /gm);
assert.equal(
  lines.length,
  readFileSync('src/features.ts', 'utf8').match(/^export /gm).length + FEATURES.length,
);
execFileSync('git', ['init', '-q'], { cwd: copy }); // the checks ask git for the files
run('npm', 'run', 'check:format');
run('npm', 'run', 'check:lint');
run('npm', 'run', 'check:prose');
run('npx', 'tsc', '-p', 'tsconfig.check.json');
run('npm', 'run', 'check:imports');
run(
  'npm',
  'test',
  '--',
  ...FEATURES.map(([name]) => `src/${name}`),
  'test/route-matrix.spec.ts',
  'test/openapi.spec.ts',
  'test/route-decorators.spec.ts',
);
console.log(`generate: ${FEATURES.length} features, one of each tier, need no edit`);
