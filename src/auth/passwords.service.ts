import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Algorithm, hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { availableParallelism } from 'node:os';
import { Problem } from '../common/problem.js';
import { random } from '../common/random.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. About 10 ms of one core. */
const PARAMETERS = {
  algorithm: 2 satisfies Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/;

/** Hashing runs on the threads that files and name look-ups share; more than a core each would starve them. */
const AT_ONCE = availableParallelism();

/**
 * Hashes and verifies passwords, a bounded number at a time. Passwords are normalised (NFKC), so that
 * one typed on another keyboard is the same (NIST SP 800-63B-4 3.1.1.2), and never cut.
 */
@Injectable()
export class PasswordsService implements OnModuleInit {
  private readonly turns = pLimit(AT_ONCE);
  private decoy: string;

  constructor(@Inject(SETTINGS_TOKEN) private readonly settings: Settings) {}

  async onModuleInit(): Promise<void> {
    this.decoy = await this.hash(random.secret());
  }

  /** @throws Problem `auth.unavailable` when too many are waiting */
  hash(password: string): Promise<string> {
    return this.queued(() => hash(password.normalize('NFKC'), PARAMETERS));
  }

  /**
   * Takes the same time for an address that nobody has: without a hash, a decoy is verified.
   * @throws Problem `auth.unavailable` when too many are waiting
   */
  async verify(password: string, passwordHash: string | null | undefined): Promise<boolean> {
    const matches = await this.queued(() =>
      verify(passwordHash ?? this.decoy, password.normalize('NFKC')).catch(() => false),
    );
    return matches === true && typeof passwordHash === 'string';
  }

  /** Whether the hash was made with weaker parameters than today's, and should be made again. */
  isOutdated(passwordHash: string): boolean {
    const [, memory, passes] = PHC.exec(passwordHash)?.map(Number) ?? [];
    return !memory || !passes || memory < PARAMETERS.memoryCost || passes < PARAMETERS.timeCost;
  }

  private queued<T>(work: () => Promise<T>): Promise<T> {
    if (this.turns.pendingCount >= this.settings.passwordHashQueue) throw new Problem('auth.unavailable');
    return this.turns(work);
  }
}
