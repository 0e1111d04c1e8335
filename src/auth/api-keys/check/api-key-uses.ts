import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { defineAuditEvent } from '../../../platform/audit/audit-event-types.js';
import { AuditService } from '../../../platform/audit/audit.service.js';
import { Jobs } from '../../../platform/jobs/jobs.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { networkOf } from '../../../platform/throttling/client-network.js';
import type { ApiKeyCaller } from '../api-key.js';
import { saveApiKeyUses, type ApiKeyUse } from './api-key-use.repository.js';

const API_KEY_NEW_ADDRESS = defineAuditEvent('api_key_new_address');

const FLUSH_INTERVAL_MS = 10_000;
/** A statement with this many uses takes a fraction of its timeout. */
const MAX_AT_ONCE = 1_000;

/**
 * Records when keys were last used, and from where. A request only writes to memory. Every few seconds, one statement
 * saves all uses. A crash loses at most one flush.
 */
@Injectable()
export class ApiKeyUses implements BeforeApplicationShutdown {
  private seen = new Map<string, ApiKeyUse>();

  constructor(
    private readonly database: DataSource,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    jobs: Jobs,
  ) {
    const run = () => this.flush();
    jobs.every({ name: 'api-key-uses', interval: FLUSH_INTERVAL_MS, scope: 'instance', run });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush().catch(() => undefined);
  }

  /** Notes a use of a key. Writes to memory only. */
  note({ id, rotation }: ApiKeyCaller, address: string | null): void {
    const network = networkOf(address);
    this.seen.set(`${id} ${network}`, { keyId: id, network, rotation, at: this.clock.now() });
  }

  /**
   * Saves all uses, and records an audit event for each network that is new for its key. If PostgreSQL fails, the uses
   * stay in memory for the next flush.
   */
  async flush(): Promise<void> {
    const left = [...this.seen];
    this.seen = new Map();
    try {
      while (left.length > 0) {
        const batch = left.slice(0, MAX_AT_ONCE).map(([, use]) => use);
        await this.save(batch);
        left.splice(0, batch.length);
      }
    } catch (error) {
      // Uses that were noted during the flush are newer.
      this.seen = new Map([...left, ...this.seen]);
      throw error;
    }
  }

  private save(uses: ApiKeyUse[]): Promise<void> {
    return this.database.transaction(async (tx) => {
      for (const { keyId, userId, network } of await saveApiKeyUses(tx, uses)) {
        await this.audit.record(tx, {
          type: API_KEY_NEW_ADDRESS,
          userId,
          context: null,
          details: { apiKey: keyId, network },
        });
      }
    });
  }
}
