import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Problem } from '../../../platform/api/problem.js';
import { random } from '../../../platform/runtime/random.js';
import { KeyStore } from '../../../platform/keys/key-store.js';

/** An encrypted secret as stored. An attacker who reads the database without the key file cannot decrypt it. */
export interface EncryptedSecret {
  sealed: Buffer;
  keyId: string;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts secrets that the server must read again, so that a digest is not enough. Uses AES-256-GCM with the
 * encryption keys of the key file.
 */
@Injectable()
export class EncryptedSecrets {
  constructor(private readonly keys: KeyStore) {}

  /** The id of the current encryption key. */
  keyInUse(now: number): string {
    return this.keys.encryptionKey(now).id;
  }

  /**
   * @param context the owner and the purpose; a secret encrypted for one context cannot be decrypted for another
   * @param now milliseconds since the epoch
   */
  encrypt(secret: Buffer, context: string, now: number): EncryptedSecret {
    const { id: keyId, key } = this.keys.encryptionKey(now);
    const nonce = random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(context));
    const text = Buffer.concat([cipher.update(secret), cipher.final()]);
    return { sealed: Buffer.concat([nonce, cipher.getAuthTag(), text]), keyId };
  }

  /** @throws UnreadableSecret when its key is not in the key file, or the secret was encrypted for another context */
  decrypt({ sealed, keyId }: EncryptedSecret, context: string): Buffer {
    const key = this.keys.decryptionKey(keyId);
    if (!key) throw new UnreadableSecret(`the key file has no encryption key ${keyId}`);
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, key.key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(context))
      .setAuthTag(tag);
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch {
      throw new UnreadableSecret(
        `a secret encrypted with key ${keyId} was changed, or belongs to another user`,
      );
    }
  }
}

/** Without the secret the server accepts no login. It does not report a code as wrong that it could not check. */
export class UnreadableSecret extends Problem {
  constructor(why: string) {
    super('auth.unavailable', { cause: new Error(why) });
  }
}
