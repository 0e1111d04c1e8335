import { Inject, Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { Problem } from '../common/problem.js';
import { random } from '../common/random.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { HASHERS, PARAMETERS, PasswordHasher } from './password-hasher.js';

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/;

/**
 * Hashes and verifies passwords, a bounded number at a time. Passwords are normalised (NFKC), so that
 * one typed on another keyboard is the same (NIST SP 800-63B-4 3.1.1.2), and never cut.
 */
@Injectable()
export class PasswordsService {
  private readonly turns = pLimit(HASHERS);
  private readonly decoy = hashOfNothing();

  constructor(
    private readonly hasher: PasswordHasher,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** @throws Problem `auth.unavailable` when too many are waiting */
  hash(password: string): Promise<string> {
    return this.queued(() => this.hasher.hash(password.normalize('NFKC')));
  }

  /**
   * Takes the same time for an address that nobody has: without a hash, a decoy is verified.
   * @throws Problem `auth.unavailable` when too many are waiting
   */
  async verify(password: string, passwordHash: string | null | undefined): Promise<boolean> {
    const matches = await this.queued(() =>
      this.hasher.verify(passwordHash ?? this.decoy, password.normalize('NFKC')),
    );
    return matches === true && typeof passwordHash === 'string';
  }

  /**
   * Whether a password that was right for one hash is so for what is stored by now: that of another password, or of the same
   * one, which a login has made anew meanwhile.
   * @throws Problem `auth.unavailable` when too many are waiting
   */
  async isStillRight(
    password: string,
    hash: string | null | undefined,
    stored: string | null,
  ): Promise<boolean> {
    return stored === hash || this.verify(password, stored);
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

/** Costs what any other costs to verify, and is of no password. */
function hashOfNothing(): string {
  const [salt, digest] = [16, 32].map((bytes) => random.bytes(bytes).toString('base64').replaceAll('=', ''));
  const { memoryCost, timeCost, parallelism } = PARAMETERS;
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${salt}$${digest}`;
}
