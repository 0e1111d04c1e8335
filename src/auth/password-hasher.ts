import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';

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
    // As it was built: also tests, which run the source, start threads of the built one.
    filename: join(import.meta.dirname, '../../dist/auth/argon2.worker.js'),
    minThreads: 0,
    maxThreads: HASHERS,
    idleTimeout: IDLE_MS,
    niceIncrement: NICE,
  });

  hash(password: string): Promise<string> {
    return this.threads.run(password, { name: 'hash' }) as Promise<string>;
  }

  /** @returns false also for what is no hash */
  verify(passwordHash: string, password: string): Promise<boolean> {
    return this.threads.run({ password, passwordHash }, { name: 'verify' }) as Promise<boolean>;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.threads.destroy();
  }
}
