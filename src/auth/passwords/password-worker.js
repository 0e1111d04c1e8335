/**
 * Hashes and verifies passwords on a thread of `password-hasher.ts`. It is plain JavaScript and runs from `src`,
 * because a running instance starts threads at any time and a build deletes `dist`. An instance started before a
 * `git pull` loads the new file: keep the parameters and results of both functions compatible.
 */
import { hashSync, verifySync } from '@node-rs/argon2';

/** @param {{ password: string, parameters: import('@node-rs/argon2').Options }} task */
export function hash({ password, parameters }) {
  return hashSync(password, parameters);
}

/**
 * @param {{ password: string, passwordHash: string }} task
 * @returns false also if `passwordHash` is malformed
 */
export function verify({ password, passwordHash }) {
  try {
    return verifySync(passwordHash, password);
  } catch {
    return false;
  }
}
