import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateKeyFile, keysOf, parseKeyFile, refuseKeyFile, type Keys } from './key-format.js';
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
