/**
 * Builds and starts the server as `npm start` does, and does so again after each change in `src`. It does not check
 * types: the editor and `npm run check` do. A change that does not compile leaves the running server as it is.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { promisify } from 'node:util';

/** An editor writes a file in several steps, and a checkout writes many files. */
const QUIET_MS = 100;
const BUILD = ['transpile.js', 'bundle.js'];
const SERVER = ['--max-semi-space-size=32', 'dist/server/main.js'];

let server;
let timer;
let isQueued = false;
let work = restart();

watch('src', { recursive: true }, () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (isQueued) return;
    isQueued = true;
    work = work.then(restart);
  }, QUIET_MS);
});

// A terminal sends SIGINT to the server too. A second signal would end it at once.
process.once('SIGINT', () => leave(() => undefined));
for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => leave(() => server?.kill('SIGTERM')));

/** Ends when the server listens or has failed: it reads files of `dist`, which the next build replaces. */
async function restart() {
  isQueued = false;
  try {
    for (const script of BUILD) await promisify(execFile)(process.execPath, [script]);
  } catch (error) {
    console.error(error.stderr);
    return;
  }
  await ended(() => server?.kill('SIGTERM'));
  server = spawn(process.execPath, SERVER, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  await Promise.race([once(server, 'message'), once(server, 'exit')]);
}

async function leave(stop) {
  clearTimeout(timer);
  await ended(stop);
  process.exit(0);
}

async function ended(stop) {
  if (!server || server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, 'exit');
  stop();
  await exit;
}
