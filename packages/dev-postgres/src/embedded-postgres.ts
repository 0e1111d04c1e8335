import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  fchownSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { EmbeddedPostgresError, type Log, type Names } from './binaries.js';
import { ENVIRONMENT, prepareCluster, readPassword, run, type Cluster } from './cluster.js';
import { watchOver, type Watcher } from './watch.js';

export { EmbeddedPostgresError } from './binaries.js';

export interface EmbeddedPostgresOptions {
  dataDir: string;
  names: Names;
  log?: Log;
}

export interface EmbeddedPostgres {
  /** Names the product's database and contains the password. */
  url: string;
  /** The data folder. It differs from the requested one if PostgreSQL's user cannot reach that one. */
  dataDir: string;
  /** True if another app was already running a server in this folder. */
  reused: boolean;
  /** Stops the server for all apps that use it, and waits until it has ended. May be called twice. */
  stop(): Promise<void>;
}

const LOCK_FILE = 'postmaster.pid';
/** In ms. During crash recovery PostgreSQL answers "starting up"; a development database needs seconds. */
const TIMEOUT_MS = 60_000;
/** Maximum number of starts. A start can lose a race for a port or against another start, within milliseconds. */
const ATTEMPTS = 5;

/**
 * Starts the PostgreSQL of the dev dependencies, or joins the one that already runs in `dataDir`. It is a real server
 * with durable data. It listens on 127.0.0.1 with a random password. It stops when the last app that uses it ends,
 * even after a crash. Only for development: its version lags behind the minor releases.
 *
 * @throws {EmbeddedPostgresError} with a message for the developer
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(resolve(options.dataDir), options.names, options.log ?? (() => undefined));
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL in ${options.dataDir} did not start (set DATABASE_URL to use another server): ${reason}`,
      { cause: error },
    );
  }
}

async function start(wanted: string, names: Names, log: Log): Promise<EmbeddedPostgres> {
  const cluster = await prepareCluster(wanted, names, log);
  const { dir } = cluster;
  const password = readPassword(cluster);
  // Starts before the check for a running server, so that the watcher of an app that ends now leaves the server
  // running.
  const watcher = watchOver(cluster);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const running = await findRunning(cluster, password);
    const port = running ?? (await launch(cluster, password, watcher));
    if (port === undefined) continue;
    if (running) log(`Using the PostgreSQL that is already running in ${dir}`);
    await ensureDatabase(port, password, names);
    return {
      url: `postgresql://${names.role}:${password}@127.0.0.1:${port}/${names.database}`,
      dataDir: dir,
      reused: running !== undefined,
      stop: () => stop(cluster).finally(() => watcher.end()),
    };
  }
  const lastWords = readFileSync(logFileOf(dir), 'utf8').trimEnd().split('\n').slice(-8).join('\n');
  throw new EmbeddedPostgresError(
    `PostgreSQL in ${dir} stopped right after it started. Its log:\n${lastWords}`,
  );
}

const logFileOf = (dir: string): string => join(dir, 'postgres.log');

/** The port of the server that runs in this folder. Removes the lock of a server that does not. */
async function findRunning({ dir, names }: Cluster, password: string): Promise<number | undefined> {
  for (const deadline = Date.now() + TIMEOUT_MS; Date.now() < deadline; await sleep(30)) {
    const lock = readLock(dir);
    if (!lock) return undefined;
    if (!isPostmaster(lock.pid)) return discardLock(dir, lock.text);
    const served = await askDataFolder({ port: lock.port, role: names.role, password });
    if (served === dir) return lock.port;
    if (served !== undefined) return discardLock(dir, lock.text); // the lock was copied together with a folder in use
  }
  throw new EmbeddedPostgresError(
    `The PostgreSQL process in ${join(dir, LOCK_FILE)} is running, but does not answer: stop it first, or set DATABASE_URL.`,
  );
}

function readLock(dir: string): { pid: number; port: number; text: string } | undefined {
  try {
    const text = readFileSync(join(dir, LOCK_FILE), 'utf8');
    const lines = text.split('\n');
    return { pid: Number.parseInt(lines[0] ?? '', 10), port: Number.parseInt(lines[3] ?? '', 10), text };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Removes a stale lock. If the process id in the lock now belongs to any process of the same user, PostgreSQL itself
 * refuses to start; this is common in containers. If another server has written its own lock meanwhile, that lock is
 * restored.
 */
function discardLock(dir: string, text: string): undefined {
  const aside = join(dir, `${LOCK_FILE}.${randomBytes(6).toString('hex')}`);
  try {
    renameSync(join(dir, LOCK_FILE), aside);
    if (readFileSync(aside, 'utf8') !== text) linkSync(aside, join(dir, LOCK_FILE));
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  rmSync(aside, { force: true });
}

/** False also for PostgreSQL's helper processes, which rename themselves to "postgres: …". */
function isPostmaster(pid: number): boolean {
  return /^(postgres|postmaster)(\.exe)?$/.test(basename(programOf(pid)));
}

function programOf(pid: number): string {
  try {
    switch (process.platform) {
      case 'linux': // without ps, which slim container images lack
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '';
      case 'win32':
        return outputOf('tasklist', '/NH', '/FO', 'CSV', '/FI', `PID eq ${pid}`).split('"')[1] ?? '';
      default:
        return outputOf('ps', '-o', 'comm=', '-p', String(pid)).trim();
    }
  } catch {
    return '';
  }
}

function outputOf(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/**
 * Starts a server and returns its port once it answers. Undefined if the server gave up because of the port or of
 * another server.
 */
async function launch(
  { names: { role }, dir, user, binaries }: Cluster,
  password: string,
  watcher: Watcher,
): Promise<number | undefined> {
  const port = await findFreePort();
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = constants;
  const output = openSync(logFileOf(dir), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  if (user) fchownSync(output, user.uid, user.gid);
  const network = ['-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
  const postmaster = spawn(binaries.postgres, ['-D', dir, ...network], {
    ...user,
    cwd: dir,
    env: ENVIRONMENT,
    detached: true, // Ctrl-C reaches the whole foreground group, but the app still needs its database to finish
    windowsHide: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  postmaster.unref();
  if (postmaster.pid) watcher.launched(postmaster.pid);
  await once(postmaster, 'spawn');

  for (const deadline = Date.now() + TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
    if (postmaster.exitCode !== null || postmaster.signalCode !== null) return undefined;
    if ((await askDataFolder({ port, role, password })) === dir) return port;
  }
  postmaster.kill('SIGINT');
  throw new EmbeddedPostgresError(`PostgreSQL does not answer; see its log ${logFileOf(dir)}`);
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  return port;
}

/** The data folder of the server on this port. Undefined if no server answers, or if it rejects our password. */
async function askDataFolder(access: Access): Promise<string | undefined> {
  try {
    return await withClient(access, async (client) => {
      const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
      return resolve(rows[0]?.data_directory ?? '');
    });
  } catch {
    return undefined;
  }
}

async function ensureDatabase(port: number, password: string, { role, database }: Names): Promise<void> {
  await withClient({ port, role, password }, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (rowCount) return;
    await client.query(`CREATE DATABASE ${database}`).catch((error: pg.DatabaseError) => {
      // duplicate_database, or the unique violation of two starts that create it at the same moment
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    });
  });
}

interface Access {
  port: number;
  role: string;
  password: string;
}

type Work<T> = (client: pg.Client) => Promise<T>;

async function withClient<T>({ port, role, password }: Access, work: Work<T>): Promise<T> {
  const address = { host: '127.0.0.1', port, user: role, password, database: 'postgres', ssl: false };
  // A client cannot be reused after a failed connect(), so each try creates one.
  const client = new pg.Client({ ...address, connectionTimeoutMillis: 2_000, query_timeout: 10_000 });
  client.on('error', () => undefined); // a lost server must not end this process
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function stop({ dir, user, binaries }: Cluster): Promise<void> {
  const lock = readLock(dir);
  if (!lock || !isPostmaster(lock.pid)) return;
  try {
    await run(binaries.pgCtl, ['stop', '-D', dir, '-m', 'fast', '-t', String(TIMEOUT_MS / 1_000)], user);
  } catch (error) {
    if (isPostmaster(lock.pid)) throw error; // otherwise the server had already stopped
  }
}
