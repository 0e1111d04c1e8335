import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * The cores for the parts of a measurement. The server has one to itself; the clients and the stores have the rest.
 * Null where processes cannot be pinned, and the table reports that.
 */
export const cores = planOf(allowedCores());

function planOf(allowed) {
  if (allowed.length < 2 || !hasTaskset()) return null;
  const [server, load, ...others] = allowed;
  return { server: `${server}`, load: `${load}`, stores: others.length > 0 ? others.join(',') : `${load}` };
}

/** The command that runs a program on those cores; the program itself where pinning is impossible. */
export function pinned(core, program, args) {
  return cores && core ? ['taskset', ['-c', cores[core], program, ...args]] : [program, args];
}

/** Moves a process and its threads. Existing children stay where they are. */
export function pin(pid, core) {
  if (cores) execFileSync('taskset', ['-a', '-cp', cores[core], String(pid)], { stdio: 'ignore' });
}

function allowedCores() {
  try {
    const [, list] = /Cpus_allowed_list:\s+(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'));
    return list.split(',').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
  } catch {
    return [];
  }
}

function hasTaskset() {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
