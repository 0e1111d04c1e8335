import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditService, type AuditEventType } from '../audit/audit.service.js';
import type { Acting } from '../common/actor.decorator.js';
import { Clock } from '../common/clock.js';
import { every } from '../common/every.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { databaseNow } from '../database/database-now.js';
import { UsersService } from '../users/users.service.js';
import { DenialList } from './denial-list.js';
import type { Ended, EndReason } from './end-reason.js';
import { receiptOf, type Receipt } from './receipt.js';
import { Revocation, type RevocationKind } from './revocation.entity.js';
import { REVOCATIONS_CHANNEL } from './revocation-feed.js';
import { lockEpochForRevocation } from './session-epoch.js';
import { VerdictCache } from './verdict-cache.js';

/** Why sessions are to end, and who says so. */
export interface RevocationOrder extends Acting {
  reason: EndReason;
  /** The name of its audit event, where the plain one says too little. */
  audit?: AuditEventType;
  details?: Record<string, unknown>;
}

/** Which of one user's sessions: all, the ones named, or all but one. */
export type Extent = 'all' | { only: string[] } | { except: string };

/** A revocation that is part of a transaction, and is in force once that has committed. */
export interface Recorded {
  revocation: Revocation;
  sessionIds: string[];
}

/** No access token lives longer (TOK-01), whatever the setting was when it was signed; and clocks differ. */
const TOKENS_DEAD_AFTER_MS = 15 * 60_000 + 60_000;
const RELAY_INTERVAL_MS = 1_000;
/** Sessions that one statement ends when everyone's do: short enough to disturb nobody. */
const SWEEP_BATCH = 500;
/** How long a request waits for everyone's records; the rest is the relay's. */
const SWEEP_PATIENCE_MS = 2_000;
/** What is left is locked by a login or a refresh that is about to end. */
const LOCKED_ROWS_PAUSE_MS = 20;

/**
 * The one door through which sessions end. In order: the records, the notice and the audit event in
 * one transaction; then the tombstones; then the answer. What the cache could not be told, a relay on
 * any instance tells it later, also when the process that began has died.
 */
@Injectable()
export class RevocationService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stop: () => void = () => undefined;

  constructor(
    private readonly database: DataSource,
    private readonly users: UsersService,
    private readonly audit: AuditService,
    private readonly verdicts: VerdictCache,
    private readonly denials: DenialList,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
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

  /** Ends sessions of one user, and answers when every session check knows or until when it will. */
  async endSessions(userId: string, extent: Extent, order: RevocationOrder): Promise<Receipt> {
    const recorded = await this.database.transaction((tx) => this.record(tx, userId, extent, order));
    return this.settle(recorded);
  }

  /**
   * Ends one session. Asked again, it answers with the receipt of the first time.
   * @param owner when given, a session of anybody else is not found
   * @returns null when there is no such session
   */
  async endSession(id: string, order: RevocationOrder, owner?: string): Promise<Receipt | null> {
    const [session] = await this.database.query<{ user_id: string }[]>(
      'select user_id from sessions where id = $1',
      [id],
    );
    if (!session || (owner !== undefined && session.user_id !== owner)) return null;
    const recorded = await this.database.transaction(async (tx) => {
      await this.users.lock(tx, session.user_id);
      return (await this.earlierEnd(tx, id)) ?? this.record(tx, session.user_id, { only: [id] }, order);
    });
    return this.settle(recorded);
  }

  /** Ends everybody's sessions: from the commit on Postgres refuses them all; their records follow in batches. */
  async endEveryone(order: RevocationOrder): Promise<Receipt> {
    const recorded = await this.database.transaction(async (tx) => {
      const { now, notBefore } = await lockEpochForRevocation(tx, this.clock);
      const [live] = await tx.query<{ count: number }[]>(
        `select count(*)::int from sessions where status = 'active'`,
      );
      await this.audit.record(tx, {
        ...auditOf(order, 'sessions_ended_everywhere'),
        details: { sessions: live!.count },
      });
      return this.insert(tx, {
        kind: 'everyone',
        subjects: [],
        reason: order.reason,
        now,
        notBefore,
        ended: live!.count,
      });
    });
    this.denials.apply(noticeOf(recorded));
    const swept = this.sweep(recorded).catch((error) => {
      this.logger.warn(
        { err: error, seq: recorded.seq },
        'everyone was ended; the relay will finish their records',
      );
      return recorded;
    });
    return this.receipt(await Promise.race([swept, setTimeout(SWEEP_PATIENCE_MS, recorded, { ref: false })]));
  }

  /**
   * For callers with a transaction of their own, who commit it and then {@link settle}. Takes the
   * user's lock, marks the records, leaves the notice and the audit event.
   */
  async record(tx: EntityManager, userId: string, extent: Extent, order: RevocationOrder): Promise<Recorded> {
    await this.users.lock(tx, userId);
    const candidates = await tx.query<{ id: string; created_at: Date }[]>(
      `select id, created_at from sessions where user_id = $1 and status = 'active'
         and ($2::uuid[] is null or id = any($2)) and ($3::uuid is null or id <> $3)
       order by id for update`,
      [userId, onlyOf(extent), exceptOf(extent)],
    );
    const sessionIds = candidates.map(({ id }) => id);
    const now = await databaseNow(tx, this.clock);
    const everything = extent === 'all';
    // Not before any of them began, also when the clock has stepped back since.
    const notBefore = new Date(
      Math.max(now.getTime(), ...candidates.map((session) => session.created_at.getTime())),
    );
    const revocation = await this.insert(tx, {
      kind: everything ? 'user' : 'session',
      subjects: everything ? [userId] : sessionIds,
      reason: order.reason,
      now,
      notBefore: everything ? notBefore : null,
      ended: sessionIds.length,
    });
    await tx.query(
      `update sessions set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4 where id = any($1)`,
      [sessionIds, order.reason, now, revocation.seq],
    );
    if (everything) {
      await tx.query(
        'update users set sessions_not_before = greatest(sessions_not_before, $2) where id = $1',
        [userId, notBefore],
      );
    }
    const [sessionId] = sessionIds;
    await this.audit.record(tx, {
      ...auditOf(order, sessionIds.length === 1 ? 'session_ended' : 'sessions_ended'),
      userId,
      sessionId: sessionIds.length === 1 ? sessionId : null,
      details: {
        ...order.details,
        reason: order.reason,
        sessions: sessionIds.length,
        revocation: Number(revocation.seq),
      },
    });
    return { revocation, sessionIds };
  }

  /** After the commit: refuses here at once, tells the cache, and says how far that got. */
  async settle({ revocation, sessionIds }: Recorded): Promise<Receipt> {
    // The end of everyone is settled by its sweep alone: what is asked again here is one session of many.
    if (revocation.appliedAt || revocation.kind === 'everyone') return this.receipt(revocation);
    this.denials.apply(noticeOf(revocation));
    return this.receipt(await this.tellCache(revocation, sessionIds));
  }

  /**
   * For changes that end nothing but that the next check must see, such as roles: call it inside the
   * transaction of the change, and {@link settle} after its commit.
   */
  async recordStale(tx: EntityManager, userId: string, what: string): Promise<Recorded> {
    const sessions = await tx.query<{ id: string }[]>(
      `select id from sessions where user_id = $1 and status = 'active'`,
      [userId],
    );
    const sessionIds = sessions.map(({ id }) => id);
    const now = await databaseNow(tx, this.clock);
    const revocation = await this.insert(tx, {
      kind: 'stale',
      subjects: sessionIds,
      reason: what,
      now,
      notBefore: null,
      ended: 0,
    });
    return { revocation, sessionIds };
  }

  /** The receipt as it stands now; null when there is no such revocation. */
  async receiptFor(seq: string): Promise<Receipt | null> {
    const revocation = await this.database.getRepository(Revocation).findOneBy({ seq });
    return revocation && this.receipt(revocation);
  }

  /** Finishes what some instance began and could not finish. */
  async relay(): Promise<void> {
    const pending = await this.database
      .getRepository(Revocation)
      .createQueryBuilder('revocation')
      .where('revocation.appliedAt is null')
      .andWhere(`revocation.createdAt < clock_timestamp() - interval '${SWEEP_PATIENCE_MS} ms'`)
      .orderBy('revocation.seq')
      .take(100)
      .getMany();
    for (const revocation of pending) {
      if (revocation.kind === 'everyone') await this.sweep(revocation);
      else await this.tellCache(revocation, await this.sessionsOf(revocation));
    }
  }

  private async insert(
    tx: EntityManager,
    what: {
      kind: RevocationKind;
      subjects: string[];
      reason: string;
      now: Date;
      notBefore: Date | null;
      ended: number;
    },
  ): Promise<Revocation> {
    const expiresAt = new Date(what.now.getTime() + TOKENS_DEAD_AFTER_MS);
    const [row] = await tx.query<{ seq: string }[]>(
      `insert into revocations (kind, subjects, reason, not_before, ended_sessions, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7) returning seq`,
      [what.kind, what.subjects, what.reason, what.notBefore, what.ended, what.now, expiresAt],
    );
    await tx.query('select pg_notify($1, $2)', [REVOCATIONS_CHANNEL, '']);
    return Object.assign(new Revocation(), {
      seq: row!.seq,
      kind: what.kind,
      subjects: what.subjects,
      reason: what.reason,
      notBefore: what.notBefore,
      endedSessions: what.ended,
      createdAt: what.now,
      expiresAt,
      appliedAt: null,
    });
  }

  /** The revocation that already ended the session, for the caller who asks again. */
  private async earlierEnd(tx: EntityManager, sessionId: string): Promise<Recorded | null> {
    const [ended] = await tx.query<{ revocation_seq: string | null }[]>(
      `select revocation_seq from sessions where id = $1 and status = 'ended'`,
      [sessionId],
    );
    if (!ended?.revocation_seq) return null;
    const revocation = await tx.findOneBy(Revocation, { seq: ended.revocation_seq });
    if (!revocation) return null;
    const sessionIds = await this.sessionsOf(revocation);
    return { revocation: Object.assign(revocation, { endedSessions: 0 }), sessionIds };
  }

  private async sessionsOf({ kind, subjects, seq }: Revocation): Promise<string[]> {
    if (kind !== 'user') return kind === 'token' ? [] : subjects;
    const rows = await this.database.query<{ id: string }[]>(
      'select id from sessions where revocation_seq = $1',
      [seq],
    );
    return rows.map(({ id }) => id);
  }

  private async tellCache(revocation: Revocation, sessionIds: string[]): Promise<Revocation> {
    try {
      if (revocation.kind === 'stale') await this.verdicts.forget(sessionIds);
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

  /** Ends the records of everyone, batch by batch; skips rows that are locked and comes back for them. */
  private async sweep(revocation: Revocation): Promise<Revocation> {
    for (;;) {
      const count = await this.sweepBatch(revocation);
      if (count === SWEEP_BATCH) continue;
      const [left] = await this.database.query<{ exists: boolean }[]>(
        `select exists (select from sessions where status = 'active' and created_at <= $1)`,
        [revocation.notBefore],
      );
      if (!left!.exists) return this.markApplied(revocation);
      await setTimeout(LOCKED_ROWS_PAUSE_MS);
    }
  }

  /**
   * Commits a batch when the cache has acknowledged its tombstones: one that it has not is found again,
   * and nobody takes the rest for done meanwhile. The end itself has committed long before.
   */
  private sweepBatch(revocation: Revocation): Promise<number> {
    return this.database.transaction(async (tx) => {
      const [rows] = await tx.query<[{ id: string }[], number]>(
        `update sessions set status = 'ended', end_reason = $1, ended_at = $2, revocation_seq = $3
         where id in (select id from sessions where status = 'active' and created_at <= $2 limit $4 for update skip locked)
         returning id`,
        [revocation.reason, revocation.notBefore, revocation.seq, SWEEP_BATCH],
      );
      const ids = rows.map(({ id }) => id);
      await this.verdicts.bury(ids, endedBy(revocation));
      return rows.length;
    });
  }

  private async markApplied(revocation: Revocation): Promise<Revocation> {
    const appliedAt = new Date(this.clock.now());
    const mark = this.database.query('update revocations set applied_at = clock_timestamp() where seq = $1', [
      revocation.seq,
    ]);
    // It is in force whether or not that can be written down now; the relay will find it again.
    await mark.catch((error) =>
      this.logger.debug({ err: error, seq: revocation.seq }, 'applied, but not yet noted'),
    );
    return Object.assign(revocation, { appliedAt });
  }

  private receipt(revocation: Revocation): Receipt {
    return receiptOf(revocation, this.settings, this.clock.now());
  }
}

function onlyOf(extent: Extent): string[] | null {
  return typeof extent === 'object' && 'only' in extent ? extent.only : null;
}

function exceptOf(extent: Extent): string | null {
  return typeof extent === 'object' && 'except' in extent ? extent.except : null;
}

function auditOf({ actorId, origin, audit }: RevocationOrder, plain: AuditEventType) {
  return { type: audit ?? plain, actorId, origin };
}

function endedBy({ reason, createdAt }: Revocation): Ended {
  return { reason: reason as EndReason, at: createdAt.getTime() };
}

function noticeOf({ kind, subjects, reason, notBefore, createdAt, expiresAt }: Revocation) {
  return {
    kind,
    subjects,
    reason: reason as EndReason,
    notBefore: notBefore?.getTime() ?? null,
    createdAt: createdAt.getTime(),
    expiresAt: expiresAt.getTime(),
  };
}
