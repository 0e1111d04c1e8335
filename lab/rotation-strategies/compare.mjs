/** `npm run compare:refresh` writes docs/evidence/refresh-strategies.md; with `-- <seed> [schedules]` it prints the tables of another run. */
import { spawnSync } from 'node:child_process';

const [seed, count = '10000'] = process.argv.slice(2);
const run = seed === undefined ? { COMPARE: 'write' } : { COMPARE: 'print', SEED: seed, SCHEDULES: count };
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const { status } = spawnSync(
  process.execPath,
  [
    ...flags,
    'node_modules/jest/bin/jest.js',
    '--config=lab/jest.config.js',
    'lab/specs/refresh-strategies.spec.ts',
  ],
  { stdio: 'inherit', env: { ...process.env, ...run } },
);
process.exit(status ?? 1);
