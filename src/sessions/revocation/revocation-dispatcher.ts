import { Inject, Injectable } from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { RevocationDatabase } from '../../platform/persistence/revocation-database.js';
import type { Ended, EndReason } from './end-reason.js';
import type { Revocation, RevocationKind } from './revocation.entity.js';
import {
  findRevocation,
  findUnapplied,
  lockSweep,
  saveEndedCount,
  setApplied,
  unappliedSeqs,
} from './revocation.repository.js';
import { RevocationWriter } from './revocation-writer.js';
import { countLeftToEnd, endBatchOfEveryone } from './session-end.repository.js';
import { SessionCache } from '../check/session-cache.js';

const INTERVAL_MS = 1_000;
/** Revocations that one round finishes. */
const MAX_PENDING = 100;
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
    const pending = await findUnapplied(this.database.manager, MAX_PENDING);
    this.backlog = pending.length;
    for (const revocation of pending) {
      if (revocation.kind === 'everyone') await this.sweep(revocation);
      else
        await this.writeTombstones(
          revocation,
          await this.revocationWriter.idsOf(this.database.manager, revocation),
        );
    }
  }

  /**
   * Writes tombstones to the session cache, or removes entries that are out of date.
   *
   * @returns the revocation; `appliedAt` is set when the cache has acknowledged
   */
  async writeTombstones(revocation: Revocation, ids: string[]): Promise<Revocation> {
    try {
      if (ENDS_NOTHING.has(revocation.kind)) await this.sessionCache.invalidate(ids);
      else await this.sessionCache.writeTombstones(ids, endedBy(revocation));
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
      if ((await this.countLeft(revocation, 1)) === 0) {
        const isComplete = await this.finishEarlier(revocation);
        return isComplete ? this.markApplied(revocation) : revocation;
      }
      await setTimeout(LOCKED_ROWS_PAUSE_MS);
    }
  }

  /**
   * A global revocation includes the sessions that had ended before it, but that the cache may still have as live.
   *
   * @returns false if the cache has not acknowledged one of them
   */
  private async finishEarlier({ seq }: Revocation): Promise<boolean> {
    for (const earlier of await unappliedSeqs(this.revocations, seq)) {
      const revocation = await findRevocation(this.revocations.manager, { seq: earlier });
      if (!revocation || revocation.kind === 'everyone') continue;
      const ids = await this.revocationWriter.idsOf(this.revocations.manager, revocation);
      if (!(await this.writeTombstones(revocation, ids)).appliedAt) return false;
    }
    return true;
  }

  /** How many records a global revocation still has to end. Stops counting at `most`. */
  countLeft({ notBefore }: Revocation, most: number): Promise<number> {
    return countLeftToEnd(this.revocations, notBefore!, most);
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
    const { seq } = revocation;
    return this.database.transaction(async (tx) => {
      const endedBefore = await lockSweep(tx, seq);
      if (pause > 0) await this.pause(pause);
      const begunAt = this.clock.monotonic();
      const ids = await endBatchOfEveryone(tx, revocation, { after, limit: SWEEP_BATCH });
      const ended = endedBefore + ids.length;
      if (ids.length === 0) return { ended, last: null, took: 0 };
      await saveEndedCount(tx, seq, ended);
      await this.sessionCache.writeTombstones(ids, endedBy(revocation));
      return { ended, last: ids.at(-1)!, took: this.clock.monotonic() - begunAt };
    });
  }

  private pause(ms: number): Promise<void> {
    return setTimeout(ms);
  }

  private async markApplied(revocation: Revocation): Promise<Revocation> {
    try {
      const appliedAt = await setApplied(this.revocations, revocation.seq);
      revocation.appliedAt = new Date(this.clock.fromDatabase(appliedAt));
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
