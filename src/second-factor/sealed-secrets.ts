import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Problem } from '../common/problem.js';
import { random } from '../common/random.js';
import { KeyStore } from '../config/key-store.js';

/** As it is kept: whoever reads the database without the key file has nothing. */
export interface Sealed {
  sealed: Buffer;
  keyId: string;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Keeps what has to be read again, and could not be a digest: AES-256-GCM under the encryption keys of the key file. */
@Injectable()
export class SealedSecrets {
  constructor(private readonly keys: KeyStore) {}

  /** The id of what seals now; undefined in files from before there was any. */
  keyInUse(now: number): string | undefined {
    return this.keys.sealingKey(now)?.id;
  }

  /**
   * @param context whose it is and what for: sealed for one, it cannot be opened for another
   * @throws Problem `auth.unavailable` when the key file has no encryption key in use
   */
  seal(secret: Buffer, context: string, now: number): Sealed {
    const key = this.keys.sealingKey(now);
    if (!key)
      throw new Problem('auth.unavailable', {
        cause: new Error('the key file has no encryption key in use: see docs/operations/rotate-keys.md'),
      });
    const nonce = random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key.key, nonce).setAAD(Buffer.from(context));
    const text = Buffer.concat([cipher.update(secret), cipher.final()]);
    return { sealed: Buffer.concat([nonce, cipher.getAuthTag(), text]), keyId: key.id };
  }

  /** @throws UnreadableSecret when its key is not in the file, or it was sealed for something else */
  open({ sealed, keyId }: Sealed, context: string): Buffer {
    const key = this.keys.openingKey(keyId);
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
        `what encryption key ${keyId} has sealed was changed, or is somebody else's`,
      );
    }
  }
}

/** Nobody is let in without it, and nobody is told that a code was wrong which could not be looked at. */
export class UnreadableSecret extends Problem {
  constructor(why: string) {
    super('auth.unavailable', { cause: new Error(why) });
  }
}
