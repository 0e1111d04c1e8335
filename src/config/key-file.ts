import { createPrivateKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { SettingsError } from './load-settings.js';
import type { Settings } from './settings.js';

export const KEYS = Symbol('KEYS');

/** Everything secret that tokens rest on. The first of each signs or mints, all of them verify. */
export interface Keys {
  signing: SigningKey[];
  /** Server secrets of the refresh tokens, 32 bytes each. */
  refreshSecrets: Buffer[];
}

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

const KeyFile = z.strictObject({
  environment: z.enum(['development', 'production']),
  signing: z.array(z.strictObject({ kid: z.string().regex(/^[\w-]{1,64}$/), privateKey: z.string() })).min(1),
  refresh: z.array(z.string().regex(/^[\w-]{43}$/)).min(1),
});
type KeyFile = z.infer<typeof KeyFile>;

export function generateKeyFile(environment: KeyFile['environment']): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file: KeyFile = {
    environment,
    signing: [
      {
        kid: randomBytes(12).toString('base64url'),
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      },
    ],
    refresh: [randomBytes(32).toString('base64url')],
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/**
 * The keys of `KEYS_FILE`; without one, those of the data folder, which are made the first time.
 * @throws SettingsError when the file is missing, unreadable, weak, or one of development in production
 */
export async function loadKeys(settings: Settings): Promise<Keys> {
  const path = settings.keysFile ?? join(settings.dataDir, 'keys.json');
  if (!settings.keysFile) await makeOnce(path);
  const text = await readFile(path, 'utf8').catch((error: Error) =>
    refuse(`cannot be read: ${error.message}`),
  );
  const file = KeyFile.safeParse(parseJson(text));
  if (!file.success) refuse('is not a key file; make one with `npm run keys:generate`');
  if (settings.nodeEnv === 'production' && file.data.environment !== 'production') {
    refuse('was made for development; make one for production with `npm run keys:generate`');
  }
  const kids = file.data.signing.map(({ kid }) => kid);
  if (new Set(kids).size < kids.length) refuse('has two signing keys with one kid');
  return {
    signing: file.data.signing.map(({ kid, privateKey }) => ({ kid, privateKey: p256(privateKey) })),
    refreshSecrets: file.data.refresh.map((secret) => Buffer.from(secret, 'base64url')),
  };
}

/** Several instances may start at once on one data folder: the first to link its file wins. */
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

/** 128 bits of strength and one algorithm: ES256 (ASVS 11.2.3, RFC 8725 3.1). */
function p256(pem: string): KeyObject {
  const key = attempt(() => createPrivateKey(pem));
  if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    refuse('has a signing key that is not a P-256 private key in PKCS #8 PEM');
  }
  return key;
}

function parseJson(text: string): unknown {
  return attempt(() => JSON.parse(text) as unknown);
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function refuse(why: string): never {
  throw new SettingsError([`KEYS_FILE ${why}`]);
}
