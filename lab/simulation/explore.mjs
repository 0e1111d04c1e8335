/** `npm run explore -- 1000000 [first seed]`: so many schedules, from a random seed by default. */
import { spawnSync } from 'node:child_process';

const [count = '1000000', seed = String(Math.floor(Date.now() / 1_000) * 1_000)] = process.argv.slice(2);
console.log(`${count} schedules from seed ${seed}`);
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const { status } = spawnSync(
  process.execPath,
  [...flags, 'node_modules/jest/bin/jest.js', '--config=lab/jest.config.js', 'lab/specs/schedules.spec.ts'],
  {
    stdio: 'inherit',
    env: { ...process.env, SCHEDULES: count, SEED: seed },
  },
);
process.exit(status ?? 1);
