import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Algorithm } from '@node-rs/argon2';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { PACKAGE_ROOT } from '../../platform/runtime/package-root.js';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. A hash takes about 10 ms of one core. */
export const PARAMETERS = {
  algorithm: 2 satisfies Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};

/** Number of concurrent hashes: one for each core. */
export const HASHERS = availableParallelism();

/**
 * Priority below that of the server (`nice(2)`): a core that does both answers requests first and hashes in between.
 */
const NICE = 10;
/** Idle threads end after this time. The first thread starts with the first password. */
const IDLE_MS = 60_000;

/**
 * Hashes passwords on separate threads. Node's own threads also serve files and name look-ups. They run with the same
 * priority as the event loop, so a flood of logins would delay it.
 */
@Injectable()
export class PasswordHasher implements OnApplicationShutdown {
  private readonly threads = new Piscina({
    // The file in `src`, not in `dist`: threads start at any time, and a build may have deleted `dist` meanwhile.
    filename: join(PACKAGE_ROOT, 'src/auth/passwords/password-worker.js'),
    minThreads: 0,
    maxThreads: HASHERS,
    idleTimeout: IDLE_MS,
    niceIncrement: NICE,
    // Piscina replaces a thread that fails without a task. Without a listener, its error would end the process.
  }).on('error', () => undefined);

  /** @returns the argon2id hash in PHC format */
  hash(password: string): Promise<string> {
    return this.threads.run({ password, parameters: PARAMETERS }, { name: 'hash' }) as Promise<string>;
  }

  /** @returns false also if `passwordHash` is malformed */
  verify(passwordHash: string, password: string): Promise<boolean> {
    return this.threads.run({ password, passwordHash }, { name: 'verify' }) as Promise<boolean>;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.threads.destroy();
  }
}
