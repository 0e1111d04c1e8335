import { Algorithm, hashSync, verifySync } from '@node-rs/argon2';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. About 10 ms of one core. */
export const PARAMETERS = {
  algorithm: 2 satisfies Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};

export function hash(password: string): string {
  return hashSync(password, PARAMETERS);
}

export function verify({ password, passwordHash }: { password: string; passwordHash: string }): boolean {
  try {
    return verifySync(passwordHash, password);
  } catch {
    return false; // no hash at all
  }
}
