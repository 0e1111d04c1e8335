import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { z } from 'zod';
import { isUnbroken, newestFirst, type Term } from './key-schedule.js';
import { SettingsError } from '../settings/load-settings.js';
import { sha256 } from '../runtime/sha256.js';
import { PRODUCT } from '../../product.js';

export const KEY_KINDS = ['signing', 'refresh', 'encryption'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/** All secrets of tokens and of encrypted data, newest first. */
export interface Keys {
  signing: SigningKey[];
  refreshSecrets: RefreshSecret[];
  encryption: EncryptionKey[];
  /** The kids of removed keys: a client with a token of one of them is told to refresh. */
  retiredKids?: string[];
}

export interface SigningKey extends Term {
  kid: string;
  privateKey: KeyObject;
}

/** A server secret for refresh tokens, 32 bytes. */
export interface RefreshSecret extends Term {
  secret: Buffer;
}

/**
 * Encrypts secrets that have to be read again, 32 bytes. It never retires by itself: data encrypted with it is kept
 * for years, and in backups.
 */
export interface EncryptionKey {
  id: string;
  key: Buffer;
  startsAt?: number;
}

const Environment = z.enum(['development', 'production']);
const kid = z.string().regex(/^[\w-]{1,64}$/);
const secret = z.string().regex(/^[\w-]{43}$/);
const instant = z.iso.datetime().transform((text) => Date.parse(text));
const encryption = z.strictObject({ id: kid, key: secret, startsAt: instant.optional() });
const term = { startsAt: instant.optional(), retiresAt: instant.optional() };

const KeyFile = z.strictObject({
  environment: Environment,
  signing: z.array(z.strictObject({ kid, privateKey: z.string(), ...term })).min(1),
  refresh: z.array(z.strictObject({ secret, ...term })).min(1),
  encryption: z.array(encryption).min(1),
  retired: z.array(z.strictObject({ kid, retiredAt: instant })).default([]),
});

/** The content of a key file. Keys are texts, instants are ms since the epoch. */
export type KeyFile = z.output<typeof KeyFile>;
export type SigningEntry = KeyFile['signing'][number];
export type RefreshEntry = KeyFile['refresh'][number];
export type EncryptionEntry = KeyFile['encryption'][number];

/** A new P-256 key pair with a random kid. */
export function newSigningEntry(): SigningEntry {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    kid: randomBytes(12).toString('base64url'),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A new refresh secret of 32 random bytes. */
export function newRefreshEntry(): RefreshEntry {
  return { secret: randomBytes(32).toString('base64url') };
}

/** A new encryption key of 32 random bytes. */
export function newEncryptionEntry(): EncryptionEntry {
  return { id: randomBytes(6).toString('base64url'), key: randomBytes(32).toString('base64url') };
}

/** A public name for a refresh secret. It reveals nothing about the secret. */
export function keyIdOf(secret: Buffer): string {
  return sha256(PRODUCT.keyPurpose.refreshSecretId, secret).toString('base64url').slice(0, 12);
}

/** The text of a new key file with one key of each kind. */
export function generateKeyFile(environment: KeyFile['environment']): string {
  const file = {
    environment,
    signing: [newSigningEntry()],
    refresh: [newRefreshEntry()],
    encryption: [newEncryptionEntry()],
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** The text of a key file; {@link parseKeyFile} reads it. */
export function formatKeyFile(file: KeyFile): string {
  const instants = new Set(['startsAt', 'retiresAt', 'retiredAt']);
  const write = (name: string, value: unknown) =>
    instants.has(name) ? new Date(value as number).toISOString() : value;
  return `${JSON.stringify(file, write, 2)}\n`;
}

/** @throws SettingsError if the text is no key file; the error contains nothing of it */
export function parseKeyFile(text: string): KeyFile {
  const file = KeyFile.safeParse(attempt(() => JSON.parse(text) as unknown));
  if (!file.success) refuseKeyFile('is not a key file; generate one with `npm run keys:generate`');
  const { signing, refresh, encryption } = file.data;
  if (new Set(signing.map(({ kid }) => kid)).size < signing.length)
    refuseKeyFile('has two signing keys with the same kid');
  if (new Set(encryption.map(({ id }) => id)).size < encryption.length)
    refuseKeyFile('has two encryption keys with the same id');
  if (new Set(refresh.map(({ secret }) => secret)).size < refresh.length)
    refuseKeyFile('contains the same refresh secret twice: it could not be retired');
  if (!isUnbroken(signing)) refuseKeyFile('retires a signing key before another one signs');
  if (!isUnbroken(refresh)) refuseKeyFile('retires a refresh secret before another one is in use');
  return file.data;
}

/** @throws SettingsError if a key is weak or invalid */
export function keysOf({ signing, refresh, encryption, retired }: KeyFile): Keys {
  const signingKeys = newestFirst(signing).map((entry) => ({
    ...entry,
    privateKey: p256(entry.privateKey),
  }));
  const points = signingKeys.map(({ privateKey }) => createPublicKey(privateKey).export({ format: 'jwk' }).x);
  if (new Set(points).size < points.length)
    refuseKeyFile('contains the same signing key under two kids: it could not be retired');
  return {
    signing: signingKeys,
    refreshSecrets: newestFirst<RefreshEntry>(refresh).map((entry) => ({
      ...entry,
      secret: Buffer.from(entry.secret, 'base64url'),
    })),
    encryption: newestFirst(encryption).map((entry) => ({
      ...entry,
      key: Buffer.from(entry.key, 'base64url'),
    })),
    retiredKids: retired.map(({ kid }) => kid),
  };
}

/** 128 bits of strength and one algorithm: ES256 (ASVS 11.2.3, RFC 8725 3.1). */
function p256(pem: string): KeyObject {
  const key = attempt(() => createPrivateKey(pem));
  if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    refuseKeyFile('has a signing key that is not a P-256 private key in PKCS #8 PEM');
  }
  return key;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** @throws SettingsError about `KEYS_FILE` */
export function refuseKeyFile(why: string): never {
  throw new SettingsError([`KEYS_FILE ${why}`]);
}
