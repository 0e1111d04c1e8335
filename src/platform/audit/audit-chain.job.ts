import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Clock } from '../runtime/clock.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Jobs } from '../jobs/jobs.js';
import { databaseNow } from '../persistence/database-now.js';
import { linkEvents, MAX_LINKED } from './audit-chain.repository.js';
import { tryLock } from '../persistence/advisory-locks.js';

/** In this interval, the owner of the database can change an event without a trace. */
const INTERVAL_MS = 10_000;

/**
 * Extends the audit hash chain by the new events. One instance runs the job each time; several instances take turns.
 */
@Injectable()
export class AuditChainJob {
  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    jobs: Jobs,
  ) {
    jobs.every({ name: 'audit-chain', interval: INTERVAL_MS, run: () => this.link() });
  }

  /** @returns how many events it has sealed; 0 while another instance does the work */
  async link(): Promise<number> {
    let sealed = 0;
    for (let count = MAX_LINKED; count === MAX_LINKED; sealed += count) count = await this.linkOnce();
    return sealed;
  }

  private linkOnce(): Promise<number> {
    return this.database.transaction(async (tx) => {
      if (!(await tryLock(tx, 'auditChain'))) return 0;
      const now = await databaseNow(tx, this.clock);
      const seal = await linkEvents(tx, now);
      // The log is outside this database. An attacker who rebuilds the chain in the database contradicts it.
      if (seal)
        this.logger.info(
          { seal: seal.id, events: seal.count, hash: seal.hash },
          'audit events were added to the hash chain',
        );
      return seal?.count ?? 0;
    });
  }
}
