import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { Problem } from '../../platform/api/problem.js';
import { random } from '../../platform/runtime/random.js';
import { Settings } from '../../platform/settings/settings.js';
import { HASHERS, PARAMETERS, PasswordHasher } from './password-hasher.js';

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/;

/**
 * Hashes and verifies passwords, a bounded number at a time. Passwords are normalised (NFKC), so that input from
 * another keyboard is equal (NIST SP 800-63B-4 3.1.1.2). They are never truncated.
 */
@Injectable()
export class PasswordsService {
  private readonly turns = pLimit(HASHERS);
  private readonly decoy = hashOfNothing();

  constructor(
    private readonly hasher: PasswordHasher,
    private readonly settings: Settings,
  ) {}

  /** @throws Problem `auth.unavailable` if the queue is full (`PASSWORD_HASH_QUEUE`) */
  hash(password: string): Promise<string> {
    return this.queued(() => this.hasher.hash(password.normalize('NFKC')));
  }

  /**
   * Verifies a password. Without a hash it verifies a decoy, so that an unknown address takes the same time.
   * @throws Problem `auth.unavailable` if the queue is full (`PASSWORD_HASH_QUEUE`)
   */
  async verify(password: string, passwordHash: string | null | undefined): Promise<boolean> {
    const matches = await this.queued(() =>
      this.hasher.verify(passwordHash ?? this.decoy, password.normalize('NFKC')),
    );
    return matches === true && typeof passwordHash === 'string';
  }

  /**
   * Whether a password that matched `hash` also matches the hash stored now. The stored hash may be of another
   * password, or of the same one after a rehash by a concurrent login.
   * @throws Problem `auth.unavailable` if the queue is full (`PASSWORD_HASH_QUEUE`)
   */
  async isStillRight(
    password: string,
    hash: string | null | undefined,
    stored: string | null,
  ): Promise<boolean> {
    return stored === hash || this.verify(password, stored);
  }

  /** Whether the hash was made with weaker parameters than the current ones and should be replaced. */
  isOutdated(passwordHash: string): boolean {
    const [, memory, passes] = PHC.exec(passwordHash)?.map(Number) ?? [];
    return !memory || !passes || memory < PARAMETERS.memoryCost || passes < PARAMETERS.timeCost;
  }

  private queued<T>(work: () => Promise<T>): Promise<T> {
    if (this.turns.pendingCount >= this.settings.passwordHashQueue) throw new Problem('auth.unavailable');
    return this.turns(work);
  }
}

/** A decoy hash: it costs as much to verify as any other, and no password matches it. */
function hashOfNothing(): string {
  const [salt, digest] = [16, 32].map((bytes) => random.bytes(bytes).toString('base64').replaceAll('=', ''));
  const { memoryCost, timeCost, parallelism } = PARAMETERS;
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${salt}$${digest}`;
}
