import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import type { Principal } from '../common/request.js';
import { TurnBatch } from '../common/turn-batch.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Ended } from './end-reason.js';
import { SessionReader } from './session-reader.js';
import { judge, type SessionSnapshot } from './session-snapshot.js';
import { VerdictCache } from './verdict-cache.js';

/** How strongly a route insists on its session. */
export interface SessionRequirement {
  /** The most milliseconds since the person last proved who they are; any age when absent. */
  maxAuthAge?: number;
  /** `strict` reads Postgres on every check; `cached` may believe a verdict of up to `CACHE_LEASE`. */
  consistency: 'cached' | 'strict';
}

/** What a look-up came to: a session as it stood, the word of a tombstone, or no answer. */
type Found = { snapshot: SessionSnapshot; cached: boolean } | { refusal: Problem };

/**
 * Decides whether a session lives. A cached verdict can only let in: before it refuses for a reason
 * that time or a change could have lifted, Postgres is asked.
 */
@Injectable()
export class SessionCheck {
  private readonly turn = new TurnBatch((ids) => this.load(ids));

  constructor(
    private readonly reader: SessionReader,
    private readonly verdicts: VerdictCache,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * The session behind a token, if it lives and meets the requirement.
   * @throws Problem `auth.session_ended`, `auth.invalid_token` (there is no such session of this
   * user), `auth.reauthentication_required` (RFC 9470), `auth.unavailable`
   */
  async require(
    principal: Principal,
    { maxAuthAge, consistency }: SessionRequirement,
  ): Promise<SessionSnapshot> {
    const first =
      consistency === 'strict'
        ? await this.fromPostgres(principal)
        : await this.turn.get(principal.sessionId);
    const doubtful =
      first && 'snapshot' in first && first.cached && this.objection(first.snapshot, maxAuthAge);
    const found = doubtful ? await this.fromPostgres(principal) : first;
    if (found && 'refusal' in found) throw found.refusal;
    if (found?.snapshot.userId !== principal.userId) throw new Problem('auth.invalid_token');
    const objection = this.objection(found.snapshot, maxAuthAge);
    if (objection) throw objection;
    return found.snapshot;
  }

  private objection(snapshot: SessionSnapshot, maxAuthAge: number | undefined): Problem | null {
    const now = this.clock.now();
    const ended = judge(snapshot, this.settings, now);
    if (ended) return sessionEnded(ended);
    const stale = maxAuthAge !== undefined && snapshot.authenticatedAt + maxAuthAge <= now;
    return stale ? reauthenticationRequired(maxAuthAge) : null;
  }

  private async fromPostgres({ sessionId }: Principal): Promise<Found | undefined> {
    const snapshot = await this.reader.read(sessionId);
    return snapshot && { snapshot, cached: false };
  }

  /** One turn's checks: one read of the cache and, for what it does not know, one of Postgres. */
  private async load(ids: string[]): Promise<Map<string, Found>> {
    const found = new Map<string, Found>();
    const absent: string[] = [];
    const unknown: string[] = [];
    const known = await this.verdicts.read(ids).catch(() => null);
    for (const id of ids) {
      const verdict = known?.get(id) ?? null;
      if (verdict?.state === 'live') found.set(id, { snapshot: verdict.snapshot, cached: true });
      else if (verdict?.state === 'ended') found.set(id, { refusal: sessionEnded(verdict.ended) });
      else unknown.push(id);
      if (known && verdict === null) absent.push(id);
    }
    if (unknown.length === 0) return found;
    const leases = absent.length > 0 ? await this.verdicts.lease(absent).catch(() => []) : [];
    const readAt = this.clock.now();
    const read = await this.reader.readMany(unknown).catch(asRefusal);
    for (const id of unknown) {
      if (read instanceof Problem) found.set(id, { refusal: read });
      else if (read.has(id)) found.set(id, { snapshot: read.get(id)!, cached: false });
    }
    for (const lease of leases) {
      const answer = found.get(lease.sessionId);
      if (answer && 'snapshot' in answer) void this.verdicts.fill(lease, answer.snapshot, readAt);
    }
    return found;
  }
}

/** Those whom the cache has already answered do not share in the trouble of those whom it has not. */
function asRefusal(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem('auth.unavailable', { cause: error });
}

export function sessionEnded({ reason, at }: Ended): Problem {
  return new Problem('auth.session_ended', { members: { reason, endedAt: new Date(at).toISOString() } });
}

function reauthenticationRequired(maxAuthAge: number): Problem {
  const seconds = Math.floor(maxAuthAge / 1_000);
  return new Problem('auth.reauthentication_required', {
    members: { maxAuthAge: seconds },
    headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age="${seconds}"` },
  });
}
