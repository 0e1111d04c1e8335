import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runCommand, UsageError } from '../runtime/command.js';
import { BootError } from '../settings/boot-error.js';
import { generateKeyFile } from './key-format.js';

const USAGE = `usage: npm run keys:generate -- <file>

Writes new signing keys, refresh secrets and encryption keys to a new file that only you can read.`;

await runCommand(USAGE, async () => {
  const [path] = process.argv.slice(2);
  if (!path) throw new UsageError('name the file');
  try {
    await writeFile(path, generateKeyFile('production'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new BootError(refusal(path, error as NodeJS.ErrnoException), { cause: error });
  }
  console.log(`wrote ${path}, readable only by you: keep it out of the repository and set KEYS_FILE to it`);
});

function refusal(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return `${path} was not written: create the folder ${dirname(path)} first`;
  if (code === 'EEXIST')
    return `${path} was not written: the file exists, and keys are never overwritten; name another file`;
  return `${path} was not written (${message}): name a file in a folder that you may write to`;
}
