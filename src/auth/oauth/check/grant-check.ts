import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { CHECK_POOL } from '../../../platform/persistence/database.module.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { Settings } from '../../../platform/settings/settings.js';
import { BatchedReader } from '../../../sessions/check/batched-reader.js';
import { SessionReader } from '../../../sessions/check/session-reader.js';
import { expiryOf, judge, type SessionSnapshot } from '../../../sessions/check/session-snapshot.js';
import { READ_GRANTS } from '../grant.repository.js';
import type { GrantEndReason, GrantSnapshot } from '../grant.js';

/** A grant that is live. */
export interface LiveGrant extends GrantSnapshot {
  /** The latest end, in milliseconds since the epoch: its own, or that of its session. */
  endsAt: number;
}

/**
 * Decides whether a grant is live. It reads Postgres on every check, and reads of the same event-loop turn share one
 * statement.
 */
@Injectable()
export class GrantCheck {
  private readonly grants: BatchedReader<GrantSnapshot>;

  constructor(
    @Inject(CHECK_POOL) pool: pg.Pool,
    private readonly sessions: SessionReader,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {
    this.grants = new BatchedReader(pool, READ_GRANTS, (text) => JSON.parse(text) as GrantSnapshot);
  }

  /**
   * Reads a grant, and the session with which it ends.
   *
   * @returns null if the grant does not exist or has ended
   * @throws Problem `auth.unavailable`
   */
  async live(id: string): Promise<LiveGrant | null> {
    const grant = await this.grants.read(id);
    if (!grant) return null;
    const session = grant.sessionId === null ? null : await this.sessions.read(grant.sessionId);
    if (endOf(grant, session, this.settings, this.clock.now())) return null;
    return {
      ...grant,
      endsAt: Math.min(grant.expiresAt, session ? sessionEnd(session, this.settings) : Infinity),
    };
  }
}

/**
 * The only function that decides whether a grant has ended, and why.
 *
 * @param session of the grant: null if it has none, undefined if its record does not exist any more
 */
export function endOf(
  grant: Pick<GrantSnapshot, 'ended' | 'expiresAt'>,
  session: SessionSnapshot | null | undefined,
  settings: Settings,
  now: number,
): { reason: GrantEndReason; at: number | null } | null {
  if (grant.ended) return grant.ended;
  if (grant.expiresAt <= now) return { reason: 'expired', at: grant.expiresAt };
  if (session === null) return null;
  if (session === undefined) return { reason: 'session_ended', at: null };
  const ended = judge(session, settings, now);
  return ended && { reason: 'session_ended', at: ended.at };
}

function sessionEnd(session: SessionSnapshot, settings: Settings): number {
  const { idleAt, expiresAt } = expiryOf(session, settings);
  return Math.min(idleAt, expiresAt);
}
