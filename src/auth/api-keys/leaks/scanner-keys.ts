import { Inject, Injectable } from '@nestjs/common';
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { LOGGER, type Logger } from '../../../platform/logging/logger.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { Settings } from '../../../platform/settings/settings.js';
import { apiKeySettings } from '../settings.js';

const FETCH_TIMEOUT_MS = 5_000;
const FRESH_MS = 3_600_000;
/** A request with an unknown key makes the instance fetch the keys again, at most this often. */
const REFETCH_MS = 60_000;
/** A list of public keys is some hundred bytes. */
const MAX_BYTES = 100_000;

const PublicKeys = z.object({
  public_keys: z.array(z.object({ key_identifier: z.string(), key: z.string() })).max(100),
});

/** The public keys of the secret scanner, from `LEAKED_KEYS_SOURCE`. */
@Injectable()
export class ScannerKeys {
  private readonly source: string | undefined;
  private keys = new Map<string, KeyObject>();
  private fetchedAt = -Infinity;
  private running: Promise<void> | null = null;

  constructor(
    private readonly clock: Clock,
    settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.source = apiKeySettings(settings).leakedKeysSource;
  }

  get isConfigured(): boolean {
    return this.source !== undefined;
  }

  /**
   * Whether the scanner has signed this body (ECDSA with P-256 and SHA-256, in base64).
   *
   * @param keyId which of its keys it has used
   */
  async hasSigned(body: string, keyId: string, signature: string): Promise<boolean> {
    const key = await this.find(keyId);
    if (!key) return false;
    try {
      return verify('sha256', Buffer.from(body), key, Buffer.from(signature, 'base64'));
    } catch {
      return false;
    }
  }

  private async find(keyId: string): Promise<KeyObject | undefined> {
    const age = this.clock.monotonic() - this.fetchedAt;
    if (age > FRESH_MS || (!this.keys.has(keyId) && age > REFETCH_MS)) {
      this.running ??= this.fetch().finally(() => (this.running = null));
      await this.running;
    }
    return this.keys.get(keyId);
  }

  /** If the source does not answer, the keys that were fetched before stay in use. */
  private async fetch(): Promise<void> {
    this.fetchedAt = this.clock.monotonic();
    try {
      const answer = await fetch(this.source!, {
        signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
        redirect: 'error',
        headers: { accept: 'application/json' },
      });
      if (!answer.ok) throw new Error(`the source answered ${answer.status}`);
      const text = await answer.text();
      if (text.length > MAX_BYTES) throw new Error('the answer is too long');
      const { public_keys: keys } = PublicKeys.parse(JSON.parse(text));
      this.keys = new Map(keys.map(({ key_identifier: id, key }) => [id, createPublicKey(key)]));
    } catch (error) {
      this.logger.warn({ err: error }, 'the public keys of LEAKED_KEYS_SOURCE could not be fetched');
    }
  }
}
