import { randomBytes } from 'node:crypto';
import {
  link,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  formatKeyFile,
  generateKeyFile,
  keysOf,
  parseKeyFile,
  refuseKeyFile,
  type Keys,
} from './key-format.js';
import { rotateKeys, type Rotated, type RotationOrder } from './key-rotation.js';
import { BootError } from '../settings/boot-error.js';
import { SettingsError } from '../settings/load-settings.js';
import type { Settings } from '../settings/settings.js';

/** `KEYS_FILE`; if unset, the key file of the data folder. */
export function keyFilePath({ keysFile, dataDir }: Pick<Settings, 'keysFile' | 'dataDir'>): string {
  return keysFile ?? join(dataDir, 'keys.json');
}

/**
 * Loads the keys of `KEYS_FILE`. If it is unset, loads those of the data folder and creates them on first use.
 * @throws SettingsError if the file is missing, unreadable or weak, cannot be created, or was made for development
 *   and this is production
 */
export async function loadKeys(settings: Settings): Promise<Keys> {
  const path = keyFilePath(settings);
  if (!settings.keysFile) {
    await makeOnce(path).catch(({ message }: Error) => {
      throw new SettingsError([
        `DATA_DIR "${settings.dataDir}" cannot store the keys: ${message}; allowed: a folder that this user may write to`,
      ]);
    });
  }
  return keysFor(settings, await readKeyFile(path));
}

/** @throws SettingsError if the file cannot be read */
export async function readKeyFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => refuseKeyFile(`cannot be read: ${error.message}`));
}

/** @throws SettingsError if the file is invalid, or was made for development and this is production */
export function keysFor({ nodeEnv }: Pick<Settings, 'nodeEnv'>, text: string): Keys {
  const file = parseKeyFile(text);
  if (nodeEnv === 'production' && file.environment !== 'production') {
    refuseKeyFile('was generated for development; generate one for production with `npm run keys:generate`');
  }
  return keysOf(file);
}

/** Several instances may start at once on one data folder: the first one that links its file wins. */
async function makeOnce(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, generateKeyFile('development'), { mode: 0o600 });
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Rotates the keys in a file and keeps its mode and owner. A concurrent reader, or a reader after a crash, sees
 * either the old file or the new one. The draft also serves as a lock: of two concurrent rotations one is refused.
 * @throws BootError if another rotation is under way, or the file is no key file
 */
export async function rotateKeyFile(path: string, order: RotationOrder): Promise<Rotated> {
  await readKeyFile(path); // reports a missing file with its own error
  const file = await realpath(path);
  const draft = `${file}.draft`;
  const handle = await openDraft(draft);
  let rotated: Rotated;
  try {
    rotated = rotateKeys(parseKeyFile(await readFile(file, 'utf8')), order);
    const text = formatKeyFile(rotated.file);
    keysOf(parseKeyFile(text)); // checks that the new file can be read before it replaces the old one
    await handle.writeFile(text);
    await resemble(handle, file);
    await handle.sync();
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(file));
  return rotated;
}

async function openDraft(draft: string): Promise<FileHandle> {
  return open(draft, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new BootError(
      `another rotation seems to be in progress; if none is, remove ${draft} and try again`,
    );
  });
}

/** The user who runs the command may differ from the user of the instances. */
async function resemble(handle: FileHandle, file: string): Promise<void> {
  const [own, wanted] = await Promise.all([handle.stat(), stat(file)]);
  if (own.uid !== wanted.uid || own.gid !== wanted.gid) await handle.chown(wanted.uid, wanted.gid);
  await handle.chmod(wanted.mode & 0o777);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
