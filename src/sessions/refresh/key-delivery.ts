import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { CHECK_POOL } from '../../platform/persistence/database.module.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { SessionCache } from '../check/session-cache.js';
import { saveDelivery } from './session-keys.repository.js';

/**
 * Records that a client has received the new keys of its session. This invalidates the superseded keys: see
 * `superseded-keys.ts`. The request that proves the delivery does not wait for the write. There is one write for each
 * change of keys.
 */
@Injectable()
export class KeyDelivery {
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(
    @Inject(CHECK_POOL) private readonly pool: pg.Pool,
    private readonly sessionCache: SessionCache,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Records the delivery in the background.
   *
   * @param session as a request with an access token of its current key version found it
   */
  note({ id, keyVersion }: Pick<SessionSnapshot, 'id' | 'keyVersion'>): void {
    if (this.underWay.has(id)) return;
    const recorded = this.record(id, keyVersion)
      // If the write fails, the next request of the session tries again.
      .catch((error: unknown) =>
        this.logger.debug({ err: error }, 'the delivery of session keys could not be recorded yet'),
      )
      .finally(() => this.underWay.delete(id));
    this.underWay.set(id, recorded);
  }

  /** Resolves when every delivery noted so far is recorded or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.underWay.values());
  }

  private async record(id: string, keyVersion: number): Promise<void> {
    await saveDelivery(this.pool, id, keyVersion);
    await this.sessionCache.invalidate([id]);
  }
}
