import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../../../platform/runtime/clock.js';
import { Jobs } from '../../../platform/jobs/jobs.js';
import { LOGGER, type Logger } from '../../../platform/logging/logger.js';
import { EncryptedSecrets, UnreadableSecret } from './encrypted-secrets.js';
import { contextOf } from './totp-factors.js';
import { OUTDATED_BATCH, TotpRepository } from './totp.repository.js';

const INTERVAL_MS = 10 * 60_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Re-encrypts the secrets of earlier encryption keys, so that those keys can be removed. It does not need the users
 * to log in. Several instances may run it at once.
 */
@Injectable()
export class SecretReencryptionJob {
  constructor(
    private readonly database: DataSource,
    private readonly factors: TotpRepository,
    private readonly encryptedSecrets: EncryptedSecrets,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    jobs: Jobs,
  ) {
    jobs.every({
      name: 'mfa-reencryption',
      interval: INTERVAL_MS,
      scope: 'instance',
      run: () => this.run(),
    });
  }

  /** @returns how many secrets it re-encrypted */
  async run(): Promise<number> {
    const key = this.encryptedSecrets.keyInUse(this.clock.now());
    let count = 0;
    for (let after: string | null = FIRST_ID; after !== null;) {
      const from: string = after;
      const page = await this.database.transaction((tx) => this.resealPage(tx, key, from));
      count += page.resealed;
      after = page.last;
    }
    if (count > 0) this.logger.info({ resealed: count, key }, 're-encrypted secrets with the key in use');
    return count;
  }

  private async resealPage(
    tx: EntityManager,
    key: string,
    after: string,
  ): Promise<{ resealed: number; last: string | null }> {
    const rows = await this.factors.lockOutdated(tx, key, after);
    let resealed = 0;
    for (const { user_id, secret, key_id } of rows) {
      try {
        const opened = this.encryptedSecrets.decrypt({ sealed: secret, keyId: key_id }, contextOf(user_id));
        const encrypted = this.encryptedSecrets.encrypt(opened, contextOf(user_id), this.clock.now());
        await this.factors.replaceSecret(tx, user_id, encrypted);
        resealed += 1;
      } catch (error) {
        if (!(error instanceof UnreadableSecret)) throw error;
        this.logger.error({ err: error, userId: user_id }, 'a second factor cannot be used');
      }
    }
    return { resealed, last: rows.length === OUTDATED_BATCH ? rows.at(-1)!.user_id : null };
  }
}
