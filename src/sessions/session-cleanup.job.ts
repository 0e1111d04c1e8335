import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditService } from '../platform/audit/audit.service.js';
import { Clock } from '../platform/runtime/clock.js';
import { LOGGER, type Logger } from '../platform/logging/logger.js';
import { Settings } from '../platform/settings/settings.js';
import { privilegedRoles } from '../roles.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { databaseNow } from '../platform/persistence/database-now.js';
import { MailOutbox } from '../platform/mail/mail-outbox.js';
import type { Ended } from './revocation/end-reason.js';
import { MAX_FLUSH_INTERVAL_MS } from './check/last-seen.service.js';
import {
  judge,
  SNAPSHOT_COLUMNS,
  SNAPSHOT_TABLES,
  snapshotOf,
  type SessionSnapshot,
  type SnapshotRow,
} from './check/session-snapshot.js';

const INTERVAL_MS = 10 * 60_000;
/** Active records that one transaction checks. Takes a few milliseconds. */
const PAGE = 5_000;
/** Old records that one statement removes. */
const REMOVE_BATCH = 1_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/**
 * The sessions of a page that may have aged, and the last session of the page. The query checks ages before roles,
 * because few users have a privileged role.
 */
const MAY_HAVE_AGED = `
  select id, aged, place = ${PAGE} as "isLast" from (
    select id, row_number() over (order by id) as place,
      last_seen_at <= $2 or created_at <= $3
        or (last_seen_at <= $4 or created_at <= $5) and user_id in (select id from users where roles && $6 and roles <> '{user}') as aged
    from sessions where status = 'active' and id > $1 order by id limit ${PAGE}) page
  where aged or place = ${PAGE}`;

/** Reads the sessions under their lock; `judge` decides with these values. */
const HOLD = `
  select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES}
  where s.id = any($1::uuid[]) and s.status = 'active'
  order by s.id for update of s skip locked`;

const REMOVE_SESSIONS = `
  delete from sessions where id in (
    select id from sessions where status = 'ended' and ended_at < $2 order by ended_at limit $1 for update skip locked)`;

const REMOVE_REVOCATIONS = `
  delete from revocations where seq in (
    select seq from revocations where created_at < $2 and applied_at is not null order by seq limit $1 for update skip locked)`;

/** Devices of deleted users. A device is removed as soon as no session record refers to it. */
const REMOVE_DEVICES = `
  with unused as (
    select device_id from devices_left_behind l
    where not exists (select from sessions s where s.device_id = l.device_id) limit $1 for update skip locked),
  removed as (delete from devices where id in (select device_id from unused))
  delete from devices_left_behind where device_id in (select device_id from unused)`;

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
    let count = await this.remove(REMOVE_SESSIONS, before);
    count += await this.remove(REMOVE_REVOCATIONS, before);
    return count + (await this.remove(REMOVE_DEVICES));
  }

  private async remove(statement: string, ...parameters: Date[]): Promise<number> {
    let count = 0;
    for (let removed = REMOVE_BATCH; removed === REMOVE_BATCH; count += removed) {
      [, removed] = await this.database.query<[unknown, number]>(statement, [REMOVE_BATCH, ...parameters]);
    }
    return count;
  }

  /** @returns how many sessions it ended, and where the next page begins; `last` is absent on the last page */
  private async endAgedOfPage(tx: EntityManager, after: string): Promise<{ ended: number; last?: string }> {
    // Judge by an earlier time, whose last-seen times are certainly saved. Otherwise the job could end a session that
    // was used a moment ago.
    const now = (await databaseNow(tx, this.clock)).getTime() - this.lastSeenLag;
    const { sessionIdleTimeout, sessionLifetime, adminSessionIdleTimeout, adminSessionLifetime } =
      this.settings;
    const limits = [sessionIdleTimeout, sessionLifetime, adminSessionIdleTimeout, adminSessionLifetime];
    const page = await tx.query<{ id: string; aged: boolean; isLast: boolean }[]>(MAY_HAVE_AGED, [
      after,
      ...limits.map((limit) => new Date(now - limit)),
      privilegedRoles(),
    ]);
    const ids = page.filter(({ aged }) => aged).map(({ id }) => id);
    const rows = ids.length > 0 ? await tx.query<SnapshotRow[]>(HOLD, [ids]) : [];
    const aged = rows.map(snapshotOf).flatMap((session) => {
      const ended = judge(session, this.settings, now);
      return ended?.reason === 'idle' || ended?.reason === 'expired' ? [{ session, ended }] : [];
    });
    if (aged.length > 0) await this.end(tx, aged);
    return { ended: aged.length, last: page.find(({ isLast }) => isLast)?.id };
  }

  /**
   * Needs no notice and no tombstone: readers judge the age of a cached session as well, and its access tokens have
   * expired.
   */
  private async end(tx: EntityManager, aged: { session: SessionSnapshot; ended: Ended }[]): Promise<void> {
    await tx.query(
      `update sessions s set status = 'ended', end_reason = aged.reason, ended_at = aged.at
       from unnest($1::uuid[], $2::text[], $3::timestamptz[]) aged (id, reason, at) where s.id = aged.id`,
      [
        aged.map(({ session }) => session.id),
        aged.map(({ ended }) => ended.reason),
        aged.map(({ ended }) => new Date(ended.at)),
      ],
    );
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
