/** A copy of the working tree, in which a check may delete and add files. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** @returns its folder, which is removed when the process exits, and a function that runs a command in it */
export function copyTree(name) {
  const copy = mkdtempSync(join(tmpdir(), `drawbridge-${name}-`));
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const file of listed.split('\0').filter((name) => name && name !== 'node_modules'))
    cpSync(file, join(copy, file));
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  return { copy, run: (command, ...args) => execFileSync(command, args, { cwd: copy, stdio: 'inherit' }) };
}
