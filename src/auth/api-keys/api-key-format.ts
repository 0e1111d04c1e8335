import { Injectable } from '@nestjs/common';
import { crc32 } from 'node:zlib';
import { random } from '../../platform/runtime/random.js';
import { sha256 } from '../../platform/runtime/sha256.js';
import { Settings } from '../../platform/settings/settings.js';
import { apiKeySettings } from './settings.js';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 30 × log2 62 = 178 bits. */
const SECRET_LENGTH = 30;
/** 62^6 is more than 2^32. */
const CHECKSUM_LENGTH = 6;
/** The greatest multiple of 62 that a byte can have. Greater bytes are drawn again, so that no digit is more likely. */
const FAIR_BYTES = 248;

/** A key that is right in itself. Whether it exists, and is live, only the store can say. */
export interface ParsedApiKey {
  /** The id of the key: a UUID. Rotations keep it. */
  id: string;
  /** Of the whole text, in base64: the store has only this. */
  digest: string;
}

/**
 * The text of API keys: `dbk_p` + id + secret + checksum.
 *
 * - `dbk` is `API_KEY_PREFIX`.
 * - `p` stands for production, `d` for development, `t` for tests: a key works only where it was made.
 * - The id is the UUID of the key in 32 hexadecimal digits.
 * - The secret has 178 random bits, in 30 characters of base62.
 * - The checksum is the CRC-32 (ISO 3309) of everything before it, in 6 characters of base62. With it a mistyped key
 *   is refused without I/O, and a secret scanner recognises keys without false positives.
 */
@Injectable()
export class ApiKeyFormat {
  /** The first characters of every key, such as `dbk_p`. */
  readonly start: string;
  private readonly pattern: RegExp;

  constructor(settings: Settings) {
    const { apiKeyPrefix } = apiKeySettings(settings);
    this.start = `${apiKeyPrefix}_${settings.nodeEnv[0]}`;
    this.pattern = new RegExp(`^${this.start}([0-9a-f]{32})[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`);
  }

  /** A new key with this id. */
  mint(id: string): { text: string; digest: string } {
    const checked = this.publicPartOf(id) + randomSecret();
    const text = checked + checksumOf(checked);
    return { text, digest: digestOf(text) };
  }

  /** @returns null for a text that is no key of this environment, without I/O */
  parse(text: string): ParsedApiKey | null {
    const digits = this.pattern.exec(text)?.[1];
    if (!digits || checksumOf(text.slice(0, -CHECKSUM_LENGTH)) !== text.slice(-CHECKSUM_LENGTH)) return null;
    const id = `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
    return { id, digest: digestOf(text) };
  }

  /** The part of a key that may be shown: everything before the secret. */
  publicPartOf(id: string): string {
    return this.start + id.replaceAll('-', '');
  }
}

function randomSecret(): string {
  let secret = '';
  while (secret.length < SECRET_LENGTH) {
    for (const byte of random.bytes(SECRET_LENGTH)) {
      if (byte < FAIR_BYTES && secret.length < SECRET_LENGTH) secret += BASE62[byte % 62];
    }
  }
  return secret;
}

function checksumOf(text: string): string {
  let rest = crc32(text);
  let digits = '';
  while (digits.length < CHECKSUM_LENGTH) {
    digits = BASE62[rest % 62] + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** The secret is random, so that a fast digest protects it (ASVS 11.4.2). */
function digestOf(text: string): string {
  return sha256(text).toString('base64');
}
