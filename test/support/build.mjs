import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const STAMP = join(ROOT, 'dist/.built');
const SOURCES = [
  'src',
  'packages/client/src',
  'packages/console/src',
  'packages/console/build.mjs',
  'packages/verifier/src',
  'packages/dev-postgres/src',
  'transpile.js',
  'bundle.js',
  'package.json',
  'package-lock.json',
];

/**
 * Builds what the tests start as processes of their own, unless the last build is newer than every source. With `SKIP_BUILD` the
 * build stays as it is: `lab/mutants` changes it.
 */
export function ensureBuilt() {
  if (process.env.SKIP_BUILD) return;
  const builtAt = mtimeOf(STAMP);
  if (SOURCES.every((source) => newestIn(join(ROOT, source)) <= builtAt)) return;
  for (const args of [
    ['transpile.js'],
    ['bundle.js'],
    ['packages/console/build.mjs'],
    ['node_modules/typescript/bin/tsc', '-p', 'packages/client'],
    ['node_modules/typescript/bin/tsc', '-p', 'packages/verifier'],
  ])
    execFileSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  writeFileSync(STAMP, '');
}

function newestIn(path) {
  if (!statSync(path).isDirectory()) return mtimeOf(path);
  return Math.max(...readdirSync(path, { recursive: true }).map((file) => mtimeOf(join(path, file))));
}

function mtimeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
