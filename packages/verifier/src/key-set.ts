import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { isObject } from './jws.js';
import type { Time } from './time.js';

/** The application publishes a key this long before it signs with it, and says so in `Cache-Control`. */
const MAX_AGE_MS = 300_000;
/** An attacker who invents key ids causes at most one request in this time. */
const MIN_INTERVAL_MS = 10_000;
const TIMEOUT_MS = 3_000;
const MAX_CHARACTERS = 65_536;
const MAX_RETIRED = 100;

/** The key of a token, or why there is none. `unsure`: the key set could not be asked whether the key is new. */
export type FoundKey = KeyObject | 'unknown' | 'retired' | 'unsure';

/** The public signing keys of the application (RFC 7517), from its `/.well-known/jwks.json`. */
export class KeySet {
  private keys = new Map<string, KeyObject>();
  private readonly retired = new Set<string>();
  private fetching: Promise<boolean> | null = null;
  private askedAt = -Infinity;
  private fetchedAt = -Infinity;

  constructor(
    private readonly url: string,
    private readonly fetch: typeof globalThis.fetch,
    private readonly time: Time,
  ) {}

  /** The key, only from memory. It returns the same object as long as the key is the same. */
  known(kid: string): KeyObject | undefined {
    return this.keys.get(kid);
  }

  /** The key. For an unknown one it asks the application, at most once in ten seconds. */
  async find(kid: string): Promise<FoundKey> {
    const known = this.keys.get(kid);
    if (known) return known;
    if (this.retired.has(kid)) return 'retired';
    const isAnswered = await this.refetch();
    return this.keys.get(kid) ?? (isAnswered ? 'unknown' : 'unsure');
  }

  /** Asks for the keys again if they are older than their `max-age`. It rejects only while there are none at all. */
  async refresh(): Promise<void> {
    if (this.time.monotonic() - this.fetchedAt > MAX_AGE_MS) await this.refetch();
    if (this.keys.size === 0) throw new Error(`the keys at ${this.url} could not be read`);
  }

  /** @returns whether the application has answered a request that began after this call, or shares its answer */
  private refetch(): Promise<boolean> {
    if (this.fetching) return this.fetching;
    const now = this.time.monotonic();
    if (now - this.askedAt < MIN_INTERVAL_MS && this.keys.size > 0) return Promise.resolve(false);
    this.askedAt = now;
    this.fetching = this.request().finally(() => (this.fetching = null));
    return this.fetching;
  }

  private async request(): Promise<boolean> {
    try {
      const response = await this.fetch(this.url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      const text = await response.text();
      if (!response.ok || text.length > MAX_CHARACTERS) return false;
      this.replace(JSON.parse(text));
      this.fetchedAt = this.time.monotonic();
      return true;
    } catch {
      return false;
    }
  }

  private replace(jwks: unknown): void {
    const listed = isObject(jwks) && Array.isArray(jwks['keys']) ? (jwks['keys'] as unknown[]) : [];
    const keys = new Map(listed.filter(isOurs).map((jwk) => [jwk.kid, this.keyOf(jwk)]));
    if (keys.size === 0) throw new Error('the key set has no key');
    for (const kid of this.keys.keys())
      if (!keys.has(kid) && this.retired.size < MAX_RETIRED) this.retired.add(kid);
    for (const kid of keys.keys()) this.retired.delete(kid);
    this.keys = keys;
  }

  private keyOf(jwk: JsonWebKey & { kid: string }): KeyObject {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const before = this.keys.get(jwk.kid);
    return before?.equals(key) ? before : key;
  }
}

function isOurs(jwk: unknown): jwk is JsonWebKey & { kid: string } {
  if (!isObject(jwk)) return false;
  const { kty, crv, alg, use, kid } = jwk;
  return kty === 'EC' && crv === 'P-256' && alg === 'ES256' && use === 'sig' && typeof kid === 'string';
}
