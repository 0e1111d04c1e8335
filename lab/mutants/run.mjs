/**
 * Removes one mechanism after another from a copy of the source, runs its spec, and expects a failure. `npm run
 * mutants` writes docs/evidence/mutations.md; `npm run mutants -- feed` renews only the lines whose mechanism or file contains
 * that word; `--spec lab/specs/schedules.spec.ts` runs another spec. Needs a build and, like the tests, PostgreSQL and Redis.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MUTANTS } from './list.mjs';

const root = resolve(import.meta.dirname, '../..');
const PAGE = join(root, 'docs/evidence/mutations.md');
const COPIED = [
  'packages',
  'lab',
  'docker',
  'docs',
  'src',
  'test',
  'dist',
  'package.json',
  'jest.config.js',
  'bundle.js',
  'transpile.js',
  'package-lock.json',
  '.swcrc',
  'tsconfig.json',
  'README.md',
  '.env.example',
  '.dockerignore',
  '.gitignore',
  'Dockerfile',
  'docker-compose.yml',
];
// Most mutants make a test wait in vain, so its timeout is shorter here than on a busy machine.
const ENVIRONMENT = { WAIT_DEADLINE_MS: '10000', SKIP_BUILD: '1', CI: '' };
const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  '--config=lab/jest.config.js',
  '--testTimeout=120000',
];

const ROWS_OF_THE_CHECKLIST = / \[[A-Z]{2,4}-\d{2}(, [A-Z]{2,4}-\d{2})*\]/g;

const args = process.argv.slice(2);
const other = args.includes('--spec') ? args.splice(args.indexOf('--spec'), 2)[1] : undefined;
const word = args[0] ?? '';
const chosen = MUTANTS.filter(({ mechanism, file }) => `${mechanism} ${file}`.includes(word));
const results = await inTurns(chosen, Math.max(1, Math.floor(availableParallelism() / 2)));
const survivors = results.filter(({ failed }) => failed.length === 0);
console.log(
  `\n${results.length - survivors.length} of ${results.length} mechanisms are missed when they are gone`,
);
for (const { mechanism } of survivors) console.log(`  nothing noticed: ${mechanism}`);
process.exit(survivors.length > 0 ? 1 : 0);

/** Each worker has its own copy of the tree. */
async function inTurns(mutants, workers) {
  const waiting = mutants.map((mutant, place) => ({ mutant, place }));
  const results = [];
  const work = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drawbridge-mutant-'));
    for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      results[next.place] = await run(folder, next.mutant);
      // After each mutant, so that a run which is interrupted keeps what it has found.
      if (!other) writeFileSync(PAGE, page([results[next.place]], rowsOf(PAGE)));
    }
    rmSync(folder, { recursive: true });
  };
  await Promise.all(Array.from({ length: workers }, work));
  return results;
}

async function run(folder, mutant) {
  const { mechanism, file, out, put = '', spec } = { ...mutant, spec: other ?? mutant.spec };
  const path = join(folder, file);
  const source = readFileSync(path, 'utf8');
  const parts = source.split(out);
  try {
    if (parts.length !== 2) throw new Error(`its text is ${parts.length - 1} times in ${file}`);
    writeFileSync(path, parts.join(put));
    const failed = await failures(folder, spec);
    console.log(`${failed.length > 0 ? 'red  ' : 'GREEN'} ${mechanism} (${failed.length} in ${spec})`);
    return { ...mutant, failed };
  } catch (error) {
    console.log(`ERROR ${mechanism} (${error.message})`);
    return { ...mutant, failed: [] };
  } finally {
    writeFileSync(path, source);
  }
}

async function failures(folder, spec) {
  const report = join(folder, 'report.json');
  rmSync(report, { force: true });
  const args = [...JEST, spec, '--maxWorkers=1', '--json', `--outputFile=${report}`];
  const jest = spawn(process.execPath, args, {
    cwd: folder,
    stdio: 'ignore',
    env: { ...process.env, ...ENVIRONMENT },
  });
  const timer = setTimeout(() => jest.kill('SIGKILL'), 1_200_000);
  await once(jest, 'close');
  clearTimeout(timer);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const names = testResults.flatMap(({ assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => fullName.replace(ROWS_OF_THE_CHECKLIST, '')),
  );
  // A file that cannot be loaded is no proof.
  if (names.length === 0 && testResults.some(({ status }) => status === 'failed'))
    throw new Error(`${spec} does not run`);
  return names;
}

/** The current rows of the page, by mechanism. Rows of mechanisms that were not run stay unchanged. */
function rowsOf(path) {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  return new Map(
    lines.filter((line) => line.startsWith('| ')).map((line) => [line.split(' | ')[0].slice(2), line]),
  );
}

function page(results, known) {
  for (const { mechanism, file, spec, failed } of results) {
    const first = failed[0]?.replaceAll('|', '\\|') ?? '**nothing**';
    const others = failed.length > 1 ? ` (and ${failed.length - 1} more)` : '';
    known.set(
      mechanism,
      `| ${mechanism} | \`${file.replace('src/', '')}\` | \`${spec}\`: ${first}${others} |`,
    );
  }
  const rows = MUTANTS.map(({ mechanism }) => known.get(mechanism)).filter(Boolean);
  return `# Mutants: the test that fails without each mechanism

Each line removes one mechanism from the source and names a test that fails without it. \`npm run mutants\` makes this page from
\`lab/mutants/list.mjs\`. A mechanism without a failing test is a fault: it is either not needed or not tested.

| taken out | of | missed by |
|---|---|---|
${rows.join('\n')}
`;
}
