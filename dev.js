/**
 * Starts the server as `npm start` does, and again after each change in `src` or in the console. It does not check
 * types: the editor and `npm run check` do. A change that does not compile leaves the running server as it is.
 * `npm run start:dev -- --inspect` passes options to Node, such as those of a debugger: stack traces and breakpoints
 * are in `src`. The embedded PostgreSQL runs until this process ends.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { promisify } from 'node:util';
import { devBundler } from './dev-bundle.js';
import { transpiler } from './transpile.js';

/** An editor writes a file in several steps, and a checkout writes many files. */
const QUIET_MS = 50;
const STOP_MS = 150;
const CONSOLE = ['packages/console/src', 'packages/client/src'];
const SERVER = [
  '--max-semi-space-size=32',
  '--enable-source-maps',
  ...process.argv.slice(2),
  'dist/server/main.js',
];

const transpile = await transpiler({ sourceMaps: 'inline' });
const bundler = await devBundler();
let database;
let server;
let timer;
let isQueued = false;
let isConsoleStale = existsSync('packages/console/build.mjs');
let work = restart();

watch('src', { recursive: true }, restartSoon);
for (const folder of CONSOLE)
  if (isConsoleStale)
    watch(folder, { recursive: true }, () => {
      isConsoleStale = true;
      restartSoon();
    });

function restartSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (isQueued) return;
    isQueued = true;
    work = work.then(restart);
  }, QUIET_MS);
}

// A terminal sends SIGINT to the server too. A second signal would end it at once.
process.once('SIGINT', () => leave(() => undefined));
for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => leave(() => server?.kill('SIGTERM')));

/** Ends when the server listens or has failed: it reads files of `dist`, which the next build replaces. */
async function restart() {
  isQueued = false;
  try {
    await transpile();
    await Promise.all([bundler.bundle(), buildConsole(), (database ??= holdDatabase())]);
  } catch (error) {
    // The bundler prints its errors itself.
    if (!error.errors) console.error(error.stderr ?? error.message);
    return;
  }
  await ended(stopSoon);
  server = spawn(process.execPath, SERVER, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  await Promise.race([once(server, 'message'), once(server, 'exit')]);
}

/** A server waits until proxies have noticed its end. In development there is no proxy, so it gets little time. */
function stopSoon() {
  const former = server;
  former.kill('SIGTERM');
  setTimeout(() => former.kill('SIGKILL'), STOP_MS).unref();
}

async function buildConsole() {
  if (!isConsoleStale) return;
  isConsoleStale = false;
  await promisify(execFile)(process.execPath, ['packages/console/build.mjs']).catch((error) => {
    isConsoleStale = true;
    throw error;
  });
}

/** If the server would start the embedded PostgreSQL, starts it, and keeps it between restarts by a connection. */
async function holdDatabase() {
  try {
    const { holdDevDatabase } = await import('./dist/dev-database.js');
    return await holdDevDatabase(console.log);
  } catch {
    return undefined; // the server says what is wrong
  }
}

async function leave(stop) {
  clearTimeout(timer);
  await Promise.all([ended(stop), bundler.end()]);
  await (await database)?.stop();
  process.exit(0);
}

async function ended(stop) {
  if (!server || server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, 'exit');
  stop();
  await exit;
}
