import { open, readFile, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BootError } from '../settings/boot-error.js';
import { readKeyFile } from './key-file.js';
import { formatKeyFile, keysOf, parseKeyFile } from './key-format.js';
import { rotateKeys, type Rotated, type RotationOrder } from './key-rotation.js';

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
