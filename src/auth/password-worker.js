/**
 * Hashes and verifies passwords on a thread of `password-hasher.ts`. It is plain JavaScript that is run from here, because
 * a running instance starts threads from this file at any time, and a build deletes `dist`. An instance that was started
 * before a `git pull` starts the new one: keep what the two functions take and return.
 */
import { hashSync, verifySync } from '@node-rs/argon2';

/** @param {{ password: string, parameters: import('@node-rs/argon2').Options }} task */
export function hash({ password, parameters }) {
  return hashSync(password, parameters);
}

/** @param {{ password: string, passwordHash: string }} task @returns false also for what is no hash */
export function verify({ password, passwordHash }) {
  try {
    return verifySync(passwordHash, password);
  } catch {
    return false;
  }
}
