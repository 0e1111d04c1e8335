import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Settings } from '../../platform/settings/settings.js';
import { privilegedRoles } from '../../roles.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import type { Ended } from '../revocation/end-reason.js';
import { MAX_FLUSH_INTERVAL_MS } from '../check/last-seen.service.js';
import { judge, type SessionSnapshot } from '../check/session-snapshot.js';
import { removeDevicesLeftBehind } from '../devices/device.repository.js';
import { removeRevocations } from '../revocation/revocation.repository.js';
import { endByAge, findAged, lockActive, removeEnded } from './session-cleanup.repository.js';

const INTERVAL_MS = 10 * 60_000;
/** Old records that one statement removes. */
const REMOVE_BATCH = 1_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Ends expired sessions in the database and removes old records. Every check refuses an expired session from the
 * moment it expires, even while its record still says `active`. One instance runs the job each time. Several
 * instances may run it at once, because each skips the rows that another one has locked.
 */
@Injectable()
export class SessionCleanupJob {
  constructor(
    private readonly database: DataSource,
    private readonly outbox: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
    jobs: Jobs,
  ) {
    jobs.every({ name: 'session-cleanup', interval: INTERVAL_MS, run: () => this.run() });
  }

  /** Runs the job once. */
  async run(): Promise<void> {
    const ended = await this.endAged();
    const removed = (await this.removeOld()) + (await this.outbox.removeGivenUp());
    if (ended + removed > 0)
      this.logger.info({ ended, removed }, 'ended expired sessions, removed old records');
  }

  /**
   * Ends the sessions that have reached their idle timeout or their lifetime.
   *
   * @returns how many sessions it ended
   */
  async endAged(): Promise<number> {
    let count = 0;
    for (let after: string | undefined = FIRST_ID; after !== undefined;) {
      const from: string = after;
      const page = await this.database.transaction((tx) => this.endAgedOfPage(tx, from));
      count += page.ended;
      after = page.last;
    }
    return count;
  }

  /**
   * Removes session records and revocations older than `SESSION_RETENTION`, and unused devices of deleted users.
   *
   * @returns how many records it removed
   */
  async removeOld(): Promise<number> {
    const before = new Date(this.clock.now() - this.settings.sessionRetention);
    const { database } = this;
    let count = await removeAll((limit) => removeEnded(database, limit, before));
    count += await removeAll((limit) => removeRevocations(database, limit, before));
    return count + (await removeAll((limit) => removeDevicesLeftBehind(database, limit)));
  }

  /** @returns how many sessions it ended, and where the next page begins; `last` is absent on the last page */
  private async endAgedOfPage(tx: EntityManager, after: string): Promise<{ ended: number; last?: string }> {
    // Judge by an earlier time, whose last-seen times are certainly saved. Otherwise the job could end a session that
    // was used a moment ago.
    const now = (await databaseNow(tx, this.clock)).getTime() - this.lastSeenLag;
    const { sessionIdleTimeout, sessionLifetime, adminSessionIdleTimeout, adminSessionLifetime } =
      this.settings;
    const { ids, last } = await findAged(tx, after, {
      idle: new Date(now - sessionIdleTimeout),
      lifetime: new Date(now - sessionLifetime),
      adminIdle: new Date(now - adminSessionIdleTimeout),
      adminLifetime: new Date(now - adminSessionLifetime),
      privileged: privilegedRoles(),
    });
    const locked = ids.length > 0 ? await lockActive(tx, ids) : [];
    const aged = locked.flatMap((session) => {
      const ended = judge(session, this.settings, now);
      return ended?.reason === 'idle' || ended?.reason === 'expired' ? [{ session, ended }] : [];
    });
    if (aged.length > 0) await this.end(tx, aged);
    return { ended: aged.length, last };
  }

  /**
   * Needs no notice and no tombstone: readers judge the age of a cached session as well, and its access tokens have
   * expired.
   */
  private async end(tx: EntityManager, aged: { session: SessionSnapshot; ended: Ended }[]): Promise<void> {
    await endByAge(tx, aged);
    const events = aged.map(({ session, ended }) => ({
      userId: session.userId,
      sessionId: session.id,
      details: { reason: ended.reason },
    }));
    await this.audit.recordAll(tx, 'session_expired', events);
  }

  private get lastSeenLag(): number {
    return this.settings.lastSeenResolution + MAX_FLUSH_INTERVAL_MS;
  }
}

/** Removes records in batches, until a batch is not full. @returns how many */
async function removeAll(remove: (limit: number) => Promise<number>): Promise<number> {
  let count = 0;
  for (let removed = REMOVE_BATCH; removed === REMOVE_BATCH; count += removed) {
    removed = await remove(REMOVE_BATCH);
  }
  return count;
}
