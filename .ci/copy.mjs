/** A copy of the working tree, in which a check may delete and add files, and the application of that copy. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
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

/** Starts the built application of a copy, calls `use` with its address, and stops it. */
export async function withApplication(copy, use) {
  const env = { ...process.env, PORT: '0', DATA_DIR: join(copy, '.data') };
  const app = spawn('node', ['dist/server/main.js'], {
    cwd: copy,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await use(await addressOf(app));
  } finally {
    app.kill('SIGINT');
    if (app.exitCode === null) await once(app, 'close');
  }
}

async function addressOf(app) {
  let output = '';
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const [, url] = /^.+ listens on (http\S+)$/m.exec(output) ?? [];
    if (url) return url;
  }
  throw new Error(`the application did not start:\n${output}`);
}
