/** The files of a tree: which they are, their hashes, and copies of them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';

const BINARY_SAMPLE = 8_000; // as git looks at the beginning of a file
const created = new Set();
process.on('exit', () => created.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** @returns {string} a new folder, which is removed when the process exits */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'template-'));
  created.add(folder);
  return folder;
}

export const isRepository = (folder) => existsSync(join(folder, '.git'));

export function git(folder, ...args) {
  return execFileSync('git', args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** @returns {string[]} paths with `/`, in order; without what `.gitignore` names, with or without a repository */
export function filesIn(folder) {
  const listed = isRepository(folder)
    ? git(folder, 'ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0')
    : walk(folder, ignoredIn(folder));
  return [...new Set(listed)]
    .filter((file) => file && existsSync(join(folder, file)) && lstatSync(join(folder, file)).isFile())
    .sort();
}

function walk(root, isIgnored, folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    const file = relative(root, path).replaceAll(sep, '/');
    if (entry.name === '.git' || isIgnored(entry.name, file)) return [];
    return entry.isDirectory() ? walk(root, isIgnored, path) : [file];
  });
}

/** The simple patterns of `.gitignore`: a name, a path, or `*.` and an ending. */
function ignoredIn(folder) {
  const path = join(folder, '.gitignore');
  const patterns = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const names = new Set(patterns.map((pattern) => pattern.replace(/\/$/, '')).filter(Boolean));
  const endings = [...names].filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  return (name, file) =>
    names.has(name) || names.has(file) || endings.some((ending) => name.endsWith(ending));
}

export function copyFiles(from, to, files = filesIn(from)) {
  for (const file of files) cpSync(join(from, file), join(to, file));
}

/** Removes a file, and the folders that are empty without it. */
export function removeFile(folder, file) {
  rmSync(join(folder, file));
  for (
    let path = dirname(file);
    path !== '.' && readdirSync(join(folder, path)).length === 0;
    path = dirname(path)
  )
    rmdirSync(join(folder, path));
}

/** @returns {string} SHA-256, in hexadecimal digits */
export function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** @returns {string | undefined} `undefined` for a picture and the like */
export function readText(path) {
  const bytes = readFileSync(path);
  return bytes.subarray(0, BINARY_SAMPLE).includes(0) ? undefined : bytes.toString('utf8');
}
