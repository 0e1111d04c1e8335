import { spawnSync } from 'node:child_process';

// A python3 from elsewhere may come first on PATH and lack the module, so the system's own is tried as well.
const python = ['python3', '/usr/bin/python3'].find(
  (program) => spawnSync(program, ['-c', 'import cryptography']).status === 0,
);

/** A group of tests that needs Python; the reporter lists them, and CI fails, when it is missing. */
export function describeWithPython(name: string, fn: () => void): void {
  if (python) describe(name, fn);
  else describe.skip(`${name} (there is no python3 with the module "cryptography")`, fn);
}

/** Runs a script, which leaves no files behind. */
export function runPython(script: string, ...args: string[]) {
  return spawnSync(python!, ['-B', script, ...args], { encoding: 'utf8' });
}
