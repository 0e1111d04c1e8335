/** `npm run compare:refresh`: plays the schedules to all strategies, and writes docs/refresh-strategies.md. */
import { spawnSync } from 'node:child_process';

const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const { status } = spawnSync(
  process.execPath,
  [...flags, 'node_modules/jest/bin/jest.js', '--coverage=false', 'test/refresh-strategies.spec.ts'],
  { stdio: 'inherit', env: { ...process.env, WRITE_PAGE: 'true' } },
);
process.exit(status ?? 1);
