import type { EncryptionKey, Keys } from './key-format.js';
import { inUse, isGood } from './key-schedule.js';

/** The current keys. They change at runtime, by the clock and when the key file changes. */
export class KeyStore {
  /** Why the key file cannot be used. This instance may then lack a key with which others will sign. */
  problem: string | null = null;

  constructor(private keys: Keys) {}

  /** A new object after each change of the file. */
  get current(): Keys {
    return this.keys;
  }

  /** Takes effect from the next use on. Operations that have already read a key finish with it. */
  replace(keys: Keys): void {
    this.keys = keys;
  }

  /**
   * The secret for new refresh tokens.
   * @param now ms since the epoch
   */
  mintingSecret(now: number): Buffer {
    return inUse(this.keys.refreshSecrets, now).secret;
  }

  /** Newest first, because most tokens belong to the newest secret. */
  verifyingSecrets(now: number): Buffer[] {
    return this.keys.refreshSecrets.filter((term) => isGood(term, now)).map(({ secret }) => secret);
  }

  /** The key that encrypts now. */
  encryptionKey(now: number): EncryptionKey {
    return inUse(this.keys.encryption, now);
  }

  /** The key that decrypts data of this key id, if the file still has it. */
  decryptionKey(id: string): EncryptionKey | undefined {
    return this.keys.encryption.find((key) => key.id === id);
  }
}
