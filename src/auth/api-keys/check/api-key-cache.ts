import { Injectable } from '@nestjs/common';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { CachePort, type CacheValue } from '../../../platform/cache/cache-port.js';
import { KeyStore } from '../../../platform/keys/key-store.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { deriveKey } from '../../../platform/runtime/derive-key.js';
import { Settings } from '../../../platform/settings/settings.js';
import { PRODUCT } from '../../../product.js';
import {
  ENDED,
  LeasedCache,
  type CacheCodec,
  type CacheEntry,
} from '../../../sessions/check/leased-cache.js';
import type { ApiKeySnapshot } from '../api-key.js';

/** The first element of a live key. An entry that another version has written counts as a miss. */
const LIVE = 3;
const NO_SALT = Buffer.alloc(0);

/** The cache of API keys. It shares its entries with the session cache: the ids of keys and sessions are never the same. */
@Injectable()
export class ApiKeyCache extends LeasedCache<ApiKeySnapshot> {
  constructor(cache: CachePort, clock: Clock, settings: Settings, keys: KeyStore) {
    super(cache, clock, settings, new ApiKeyCodec(keys, clock));
  }
}

/**
 * A live key in the cache counts only with a MAC of this service. A cached session needs none: it only lets in a caller
 * that has a signed token for it. Without the MAC, an attacker with write access to the cache could invent a key of any
 * user. The MAC is verified once for each entry, because parsed entries are reused. The entry of another key helps no
 * one: the digest of a key covers its id.
 */
class ApiKeyCodec implements CacheCodec<ApiKeySnapshot> {
  private secret: Buffer | null = null;
  private macKey: Buffer = NO_SALT;

  constructor(
    private readonly keys: KeyStore,
    private readonly clock: Clock,
  ) {}

  packLive(snapshot: ApiKeySnapshot, believeUntil: number): CacheValue {
    const text = JSON.stringify(snapshot);
    return [LIVE, believeUntil, text, this.macOf(believeUntil, text)];
  }

  unpack(_id: string, entry: string): CacheEntry<ApiKeySnapshot> | null {
    try {
      const value = JSON.parse(entry) as unknown;
      if (typeof value === 'string') return { state: 'leased' };
      if (!Array.isArray(value)) return null;
      const [tag, number, text, mac] = value as unknown[];
      if (tag === ENDED) return { state: 'ended', ended: { reason: 'revoked', at: Number(value[2]) } };
      if (tag !== LIVE || !isSame(mac, this.macOf(number as number, text as string))) return null;
      const snapshot = JSON.parse(text as string) as ApiKeySnapshot;
      return { state: 'live', snapshot, believeUntil: number as number };
    } catch {
      return null;
    }
  }

  /** Changes with the rotation of the refresh secrets. Entries of the former one are then misses. */
  private macOf(believeUntil: number, text: string): string {
    const secret = this.keys.mintingSecret(this.clock.now());
    if (secret !== this.secret) {
      this.macKey = deriveKey(secret, { salt: NO_SALT, purpose: PRODUCT.keyPurpose.cachedApiKey });
      this.secret = secret;
    }
    return createHmac('sha256', this.macKey).update(`${believeUntil}.${text}`).digest('base64url');
  }
}

function isSame(given: unknown, right: string): boolean {
  const bytes = Buffer.from(String(given));
  return bytes.length === right.length && timingSafeEqual(bytes, Buffer.from(right));
}
