import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { canReach, sharedFolder } from '../../packages/dev-postgres/dist/binaries.js';

/** @typedef {import('./services.d.mts').Server} Server */

/** Not ours, which would contain the settings and secrets of the developer's shell. */
export const ENVIRONMENT = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
export const START_MS = 120_000;

/**
 * @typedef {object} Plan
 * @property {Folder} folder
 * @property {{ uid: number, gid: number } | undefined} user
 * @property {string} origin
 * @property {string} program
 * @property {(port: number) => string[]} argsOf
 * @property {(port: number) => string} urlOf
 * @property {(port: number, pid: number) => Promise<boolean>} isReady false also when another process answers there
 * @property {NodeJS.Signals} stopSignal
 */

/** @param {Plan} plan @returns {Promise<Server>} */
export async function runServer(plan) {
  let port;
  let server;
  // The port may be taken between the search and the start.
  for (let tries = 0; !server && tries < 5; tries++) {
    port = await findFreePort();
    server = await spawnServer(plan, port);
  }
  if (!server) throw new Error(`${plan.program} ends right after its start:\n${lastWords(plan)}`);

  /** @param {NodeJS.Signals} signal */
  const end = async (signal) => {
    if (!isRunning(server)) return;
    server.ref();
    const gone = once(server, 'exit');
    const members = family(server.pid);
    send(signal, signal === 'SIGKILL' ? members : [server.pid]);
    send('SIGCONT', members); // a paused process does not receive signals
    await gone;
  };

  return {
    url: plan.urlOf(port),
    origin: plan.origin,
    get pid() {
      return server.pid;
    },
    stop: () => end(plan.stopSignal),
    kill: () => end('SIGKILL'),
    async pause() {
      send('SIGSTOP', [server.pid]); // first, so that the list of its children is final
      send('SIGSTOP', family(server.pid));
    },
    async resume() {
      send('SIGCONT', family(server.pid));
    },
    async restart() {
      await end(plan.stopSignal);
      // Processes that were killed keep the port and the shared memory for a moment.
      for (const deadline = Date.now() + START_MS; Date.now() < deadline; await sleep(50)) {
        const again = await spawnServer(plan, port);
        if (!again) continue;
        server = again;
        return;
      }
      throw new Error(`${plan.program} does not come back on port ${port}:\n${lastWords(plan)}`);
    },
  };
}

/** @returns the process once it answers, or undefined when it ends before */
async function spawnServer({ folder, user, program, argsOf, isReady }, port) {
  const log = openSync(join(folder.path, 'log'), 'a');
  const stdio = ['ignore', log, log];
  const server = spawn(program, argsOf(port), {
    ...user,
    cwd: folder.path,
    env: ENVIRONMENT,
    detached: true,
    stdio,
  });
  closeSync(log);
  await once(server, 'spawn');
  folder.watch(server.pid);
  server.once('exit', () => folder.watch(undefined));
  server.unref();
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; await sleep(20)) {
    if (!isRunning(server)) return undefined;
    if (await isReady(port, server.pid)) return server;
  }
  throw new Error(`${program} does not answer on port ${port}`);
}

const isRunning = (server) => server.exitCode === null && server.signalCode === null;

const lastWords = ({ folder }) =>
  readFileSync(join(folder.path, 'log'), 'utf8').split('\n').slice(-10).join('\n');

/** PostgreSQL's backends leave the process group of their parent, so a signal for the group would miss them. */
function family(pid) {
  let children;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  } catch {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    children = table
      .map((row) => row.trim().split(/\s+/))
      .flatMap(([child, parent]) => (parent === `${pid}` ? [child] : []));
  }
  return [pid, ...children.filter(Boolean).map(Number)];
}

function send(signal, pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

/**
 * The end of its input means the end of this process, for any reason: Ctrl-C, a crash or kill -9. An exit hook
 * would miss the last, and one in a spec file would never be called at all.
 */
const REAPER = `
  pid=
  while read -r line; do pid=$line; done
  if [ -n "$pid" ]; then
    children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || ps -A -o pid=,ppid= | awk -v p="$pid" '$2 == p { print $1 }')
    kill -KILL "$pid" $children
  fi
  rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }`;

/** @typedef {{ path: string, watch(pid: number | undefined): void }} Folder */

/** A folder that is removed when this process ends, together with the process that it watches. @returns {Folder} */
export function makeFolder(user) {
  const temporary = realpathSync(tmpdir());
  const parent = user && !canReach(temporary, user) ? sharedFolder() : temporary;
  const path = mkdtempSync(join(parent, 'drawbridge-test-'));
  if (user) chownSync(path, user.uid, user.gid);
  const reaper = startReaper(REAPER, path);
  return { path, watch: (pid) => void reaper.write(`${pid ?? ''}\n`) };
}

/** Runs a shell script that reads from us and so notices our end. @returns {import('node:stream').Writable} */
export function startReaper(script, subject) {
  const stdio = ['pipe', 'ignore', 'ignore'];
  const reaper = spawn('/bin/sh', ['-c', script, 'reaper', subject], { detached: true, stdio });
  reaper.unref();
  reaper.stdin.unref();
  reaper.stdin.on('error', () => undefined);
  return reaper.stdin;
}

async function findFreePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  return port;
}

export async function askPostgres(url, query) {
  const limits = { connectionTimeoutMillis: 5_000, query_timeout: 5_000 };
  const client = new pg.Client({ connectionString: url, ...limits });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(query);
    return Object.values(rows[0])[0];
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function askRedis(port, command) {
  const signal = AbortSignal.timeout(2_000);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  try {
    await once(socket, 'connect', { signal });
    socket.write(`${command}\r\n`);
    const [answer] = await once(socket, 'data', { signal });
    return `${answer}`;
  } finally {
    socket.destroy();
  }
}
