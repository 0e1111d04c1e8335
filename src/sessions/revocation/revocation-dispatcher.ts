import { Inject, Injectable } from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { lastUuidOf } from '../../platform/runtime/random.js';
import { RevocationDatabase } from '../../platform/persistence/revocation-database.js';
import type { Ended, EndReason } from './end-reason.js';
import { Revocation, type RevocationKind } from './revocation.entity.js';
import { RevocationWriter } from './revocation-writer.js';
import { SessionCache } from '../check/session-cache.js';

const INTERVAL_MS = 1_000;
/**
 * The instance that made a revocation has this long to finish it. After that, the dispatcher of any instance takes
 * over.
 */
const HANDOVER_MS = 2_000;
/**
 * Sessions that one statement ends in a global revocation. The number is small, so that the statement does not slow
 * down others.
 */
const SWEEP_BATCH = 100;
/**
 * Before each batch but the first, the sweep pauses for this many times the duration of the last batch. It need not
 * hurry: the revocation is in force since its commit.
 */
const PAUSE_FACTOR = 2;
/**
 * The sweep pauses under a row lock. Other transactions wait at most 5 s for a lock, and PostgreSQL ends a
 * transaction that is idle for 10 s.
 */
const MAX_PAUSE_MS = 1_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
/** These kinds end no session. Cached entries of the sessions are merely out of date. */
const ENDS_NOTHING = new Set<RevocationKind>(['stale', 'token']);
/** The remaining rows are locked by a login or a refresh that will commit soon. */
const LOCKED_ROWS_PAUSE_MS = 20;

/**
 * The revocation dispatcher: carries committed revocations to the session cache. If the cache does not acknowledge
 * one, the dispatcher of any instance tries again later, even after the process that made it has crashed. Until then
 * `applied_at` is null.
 */
@Injectable()
export class RevocationDispatcher {
  /** The number of unfinished revocations that the last round found. */
  backlog = 0;

  constructor(
    private readonly database: DataSource,
    private readonly revocations: RevocationDatabase,
    private readonly revocationWriter: RevocationWriter,
    private readonly sessionCache: SessionCache,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    jobs: Jobs,
  ) {
    jobs.every({
      name: 'revocation-dispatcher',
      interval: INTERVAL_MS,
      scope: 'instance',
      run: () => this.dispatch(),
    });
  }

  /** Finishes revocations that an instance has started but not completed. */
  async dispatch(): Promise<void> {
    const pending = await this.database
      .getRepository(Revocation)
      .createQueryBuilder('revocation')
      .where('revocation.appliedAt is null')
      .andWhere(`revocation.createdAt < clock_timestamp() - interval '${HANDOVER_MS} ms'`)
      .orderBy('revocation.seq')
      .take(100)
      .getMany();
    this.backlog = pending.length;
    for (const revocation of pending) {
      if (revocation.kind === 'everyone') await this.sweep(revocation);
      else
        await this.writeTombstones(
          revocation,
          await this.revocationWriter.sessionsOf(this.database.manager, revocation),
        );
    }
  }

  /**
   * Writes tombstones to the session cache, or removes entries that are out of date.
   *
   * @returns the revocation; `appliedAt` is set when the cache has acknowledged
   */
  async writeTombstones(revocation: Revocation, sessionIds: string[]): Promise<Revocation> {
    try {
      if (ENDS_NOTHING.has(revocation.kind)) await this.sessionCache.invalidate(sessionIds);
      else await this.sessionCache.writeTombstones(sessionIds, endedBy(revocation));
    } catch (error) {
      this.logger.warn(
        { err: error, seq: revocation.seq },
        'a revocation could not be written to the cache yet',
      );
      return revocation;
    }
    return this.markApplied(revocation);
  }

  /**
   * Ends session records after a global revocation, in batches ordered by session id. Ids increase with creation
   * time, so the sweep never scans sessions that began later. It skips locked rows and returns to them at the end.
   * Several instances may sweep at once; a row lock makes them take turns.
   */
  async sweep(revocation: Revocation): Promise<Revocation> {
    let last = FIRST_ID;
    let took = 0;
    for (;;) {
      const batch = await this.sweepBatch(revocation, last, Math.min(PAUSE_FACTOR * took, MAX_PAUSE_MS));
      revocation.endedSessions = batch.ended;
      took = batch.took;
      last = batch.last ?? FIRST_ID;
      if (batch.last !== null) continue;
      if ((await this.countLeft(revocation, 1)) === 0) return this.markApplied(revocation);
      await setTimeout(LOCKED_ROWS_PAUSE_MS);
    }
  }

  /** How many records a global revocation still has to end. Stops counting at `most`. */
  async countLeft({ notBefore }: Revocation, most: number): Promise<number> {
    const [left] = await this.revocations.query<{ count: number }[]>(
      `select count(*)::int from (
         select from sessions where status = 'active' and id <= $1 and created_at <= $2 order by id limit $3) some_left`,
      [lastUuidOf(notBefore!.getTime()), notBefore, most],
    );
    return left!.count;
  }

  /**
   * Commits a batch after the cache has acknowledged its tombstones. Otherwise the batch rolls back and the sweep
   * finds it again, so no instance takes it for done. The revocation itself has committed long before.
   *
   * @param pause a pause in milliseconds, taken inside the turn so that all instances pause together
   */
  private sweepBatch(
    revocation: Revocation,
    after: string,
    pause: number,
  ): Promise<{ ended: number; last: string | null; took: number }> {
    const { seq, reason, notBefore } = revocation;
    return this.database.transaction(async (tx) => {
      const [turn] = await tx.query<{ ended_sessions: number }[]>(
        'select ended_sessions from revocations where seq = $1 for update',
        [seq],
      );
      if (pause > 0) await this.pause(pause);
      const begunAt = this.clock.monotonic();
      const [rows] = await tx.query<[{ id: string }[], number]>(
        `with batch as (
           select id from sessions where status = 'active' and id > $1 and id <= $6 and created_at <= $3
           order by id limit $5 for update skip locked)
         update sessions set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4
         where id in (select id from batch) returning id`,
        [after, reason, notBefore, seq, SWEEP_BATCH, lastUuidOf(notBefore!.getTime())],
      );
      const ids = rows.map(({ id }) => id).sort();
      const ended = turn!.ended_sessions + ids.length;
      if (ids.length === 0) return { ended, last: null, took: 0 };
      await tx.query('update revocations set ended_sessions = $2 where seq = $1', [seq, ended]);
      await this.sessionCache.writeTombstones(ids, endedBy(revocation));
      return { ended, last: ids.at(-1)!, took: this.clock.monotonic() - begunAt };
    });
  }

  private pause(ms: number): Promise<void> {
    return setTimeout(ms);
  }

  private async markApplied(revocation: Revocation): Promise<Revocation> {
    try {
      const [[marked]] = await this.revocations.query<[[{ applied_at: Date }], number]>(
        'update revocations set applied_at = clock_timestamp() where seq = $1 returning applied_at',
        [revocation.seq],
      );
      revocation.appliedAt = new Date(this.clock.fromDatabase(marked.applied_at));
    } catch (error) {
      // The revocation is in force even if this cannot be recorded now. The dispatcher will find it again.
      revocation.appliedAt = new Date(this.clock.now());
      this.logger.debug(
        { err: error, seq: revocation.seq },
        'a revocation is applied, but could not be marked so yet',
      );
    }
    return revocation;
  }
}

function endedBy({ reason, createdAt }: Revocation): Ended {
  return { reason: reason as EndReason, at: createdAt.getTime() };
}
