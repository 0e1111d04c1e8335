import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

/** The commands of `npm run …` that run a file of the build, by their names in package.json. */
export const COMMANDS: Record<string, string> = Object.fromEntries(
  Object.entries(
    (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts,
  ).filter(([, line]) => /^node dist\/\S+\.cli\.js/.test(line)),
);

/** Runs a command as an operator does, as a process of its own. */
export async function runCommand(
  name: string,
  args: string[] = [],
  env: Record<string, string | undefined> = {},
  folder = tmpdir(), // away from a developer's .env
): Promise<{ code: number | null; output: string }> {
  const [, file, ...own] = COMMANDS[name]!.split(' ');
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [resolve(file!), ...own, ...args], {
    cwd: folder,
    env: { PATH, HOME, NODE_ENV: 'test', ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return { code: child.exitCode, output };
}
