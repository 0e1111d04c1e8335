import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Algorithm } from '@node-rs/argon2';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. About 10 ms of one core. */
export const PARAMETERS = {
  algorithm: 2 satisfies Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};

/** Of as many passwords at a time as there are cores. */
export const HASHERS = availableParallelism();

/** So much less important than serving (`nice(2)`): a core that does both answers at once, and hashes in between. */
const NICE = 10;
/** Threads that nobody has needed for so long end; the first one starts with the first password. */
const IDLE_MS = 60_000;

/**
 * Hashes on threads of its own. Those of Node are shared with files and name look-ups, and run with the same priority as
 * the event loop, which a flood of logins would keep from its turn.
 */
@Injectable()
export class PasswordHasher implements OnApplicationShutdown {
  private readonly threads = new Piscina({
    // Of the sources, not of the build: threads start at any time, and a build may have deleted `dist` meanwhile.
    filename: join(import.meta.dirname, '../../src/auth/password-worker.js'),
    minThreads: 0,
    maxThreads: HASHERS,
    idleTimeout: IDLE_MS,
    niceIncrement: NICE,
    // A thread that fails without a task is replaced; without a listener its error would end the process.
  }).on('error', () => undefined);

  hash(password: string): Promise<string> {
    return this.threads.run({ password, parameters: PARAMETERS }, { name: 'hash' }) as Promise<string>;
  }

  /** @returns false also for what is no hash */
  verify(passwordHash: string, password: string): Promise<boolean> {
    return this.threads.run({ password, passwordHash }, { name: 'verify' }) as Promise<boolean>;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.threads.destroy();
  }
}
