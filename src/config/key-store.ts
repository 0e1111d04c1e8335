import type { EncryptionKey, Keys } from './key-format.js';
import { hasStarted, inUse, isGood } from './key-schedule.js';

/** The keys as they are now: they change while we serve, by the clock and when their file does. */
export class KeyStore {
  /** Why their file cannot be used, so that a key may be missed that others will sign with. */
  problem: string | null = null;

  constructor(private keys: Keys) {}

  /** Another object after each change of the file. */
  get current(): Keys {
    return this.keys;
  }

  /** From the next use on, everywhere. What is half done goes on with the keys that it has taken. */
  replace(keys: Keys): void {
    this.keys = keys;
  }

  mintingSecret(now: number): Buffer {
    return inUse(this.keys.refreshSecrets, now).secret;
  }

  /** Newest first: most tokens are of the first one. */
  verifyingSecrets(now: number): Buffer[] {
    return this.keys.refreshSecrets.filter((term) => isGood(term, now)).map(({ secret }) => secret);
  }

  /** What seals now. Undefined in files from before there was any, and while the first one waits for its turn. */
  sealingKey(now: number): EncryptionKey | undefined {
    return hasStarted(this.keys.encryption, now);
  }

  openingKey(id: string): EncryptionKey | undefined {
    return this.keys.encryption.find((key) => key.id === id);
  }
}
