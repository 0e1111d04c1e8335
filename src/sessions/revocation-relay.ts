import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Clock } from '../common/clock.js';
import { every } from '../common/every.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { lastUuidOf } from '../common/random.js';
import { RevocationDatabase } from '../database/revocation-database.js';
import type { Ended, EndReason } from './end-reason.js';
import { Revocation, type RevocationKind } from './revocation.entity.js';
import { RevocationLog } from './revocation-log.js';
import { VerdictCache } from './verdict-cache.js';

const RELAY_INTERVAL_MS = 1_000;
/** Whoever began is given so long to finish by itself. */
const HANDOVER_MS = 2_000;
/** Sessions that one statement ends when everyone's do: short enough to disturb nobody. */
const SWEEP_BATCH = 100;
/** Before each but the first it rests so many times as long as the last one took. There is no hurry: the end itself is in force since its commit. */
const REST = 2;
/** It rests under a lock: others give up waiting for that after 5 s, and PostgreSQL ends a transaction that does nothing for 10. */
const LONGEST_REST_MS = 1_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
/** These leave their sessions alive: what caches hold of them is only out of date. */
const ENDS_NOTHING = new Set<RevocationKind>(['stale', 'token']);
/** What is left is locked by a login or a refresh that is about to end. */
const LOCKED_ROWS_PAUSE_MS = 20;

/**
 * Carries committed revocations to the cache. What it could not tell, a relay on any instance tells
 * later, also when the process that began has died: `applied_at` stays empty until then.
 */
@Injectable()
export class RevocationRelay implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** How many the last round found unfinished. */
  backlog = 0;
  private stop: () => void = () => undefined;

  constructor(
    private readonly database: DataSource,
    private readonly revocations: RevocationDatabase,
    private readonly log: RevocationLog,
    private readonly verdicts: VerdictCache,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const failed = (error: unknown) =>
      this.logger.debug({ err: error }, 'the revocation relay is interrupted');
    this.stop = every(RELAY_INTERVAL_MS, () => this.relay(), failed);
  }

  beforeApplicationShutdown(): void {
    this.stop();
  }

  /** Finishes what some instance began and could not finish. */
  async relay(): Promise<void> {
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
      else await this.tellCache(revocation, await this.log.sessionsOf(this.database.manager, revocation));
    }
  }

  /** @returns the revocation, `appliedAt` set when the cache has acknowledged */
  async tellCache(revocation: Revocation, sessionIds: string[]): Promise<Revocation> {
    try {
      if (ENDS_NOTHING.has(revocation.kind)) await this.verdicts.forget(sessionIds);
      else await this.verdicts.bury(sessionIds, endedBy(revocation));
    } catch (error) {
      this.logger.warn(
        { err: error, seq: revocation.seq },
        'the cache could not be told of a revocation yet',
      );
      return revocation;
    }
    return this.markApplied(revocation);
  }

  /**
   * Ends the records of everyone, batch by batch in the order of their ids, which is that of their beginnings: whoever has
   * logged in since is not looked at. Skips rows that are locked and comes back for them. Several instances may: they take turns.
   */
  async sweep(revocation: Revocation): Promise<Revocation> {
    let last = FIRST_ID;
    let took = 0;
    for (;;) {
      const batch = await this.sweepBatch(revocation, last, Math.min(REST * took, LONGEST_REST_MS));
      revocation.endedSessions = batch.ended;
      took = batch.took;
      last = batch.last ?? FIRST_ID;
      if (batch.last !== null) continue;
      if ((await this.countLeft(revocation, 1)) === 0) return this.markApplied(revocation);
      await setTimeout(LOCKED_ROWS_PAUSE_MS);
    }
  }

  /** How many records of everyone are still to be ended, counted no further than to `most`. */
  async countLeft({ notBefore }: Revocation, most: number): Promise<number> {
    const [left] = await this.revocations.query<{ count: number }[]>(
      `select count(*)::int from (
         select from sessions where status = 'active' and id <= $1 and created_at <= $2 order by id limit $3) some_left`,
      [lastUuidOf(notBefore!.getTime()), notBefore, most],
    );
    return left!.count;
  }

  /**
   * Commits a batch when the cache has acknowledged its tombstones: one that it has not is found again,
   * and nobody takes the rest for done meanwhile. The end itself has committed long before.
   * @param rest milliseconds; within its turn, so that all instances rest together
   */
  private sweepBatch(
    revocation: Revocation,
    after: string,
    rest: number,
  ): Promise<{ ended: number; last: string | null; took: number }> {
    const { seq, reason, notBefore } = revocation;
    return this.database.transaction(async (tx) => {
      const [turn] = await tx.query<{ ended_sessions: number }[]>(
        'select ended_sessions from revocations where seq = $1 for update',
        [seq],
      );
      if (rest > 0) await this.rest(rest);
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
      await this.verdicts.bury(ids, endedBy(revocation));
      return { ended, last: ids.at(-1)!, took: this.clock.monotonic() - begunAt };
    });
  }

  private rest(ms: number): Promise<void> {
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
      // It is in force whether or not that can be written down now; the relay will find it again.
      revocation.appliedAt = new Date(this.clock.now());
      this.logger.debug({ err: error, seq: revocation.seq }, 'applied, but not yet noted');
    }
    return revocation;
  }
}

function endedBy({ reason, createdAt }: Revocation): Ended {
  return { reason: reason as EndReason, at: createdAt.getTime() };
}
