import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import type { Principal } from '../common/request.js';
import { TurnBatch } from '../common/turn-batch.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Ended } from './end-reason.js';
import { KeyDelivery } from './key-delivery.js';
import { SessionReader } from './session-reader.js';
import { judge, lacksSecondFactor, type SessionSnapshot } from './session-snapshot.js';
import { VerdictCache } from './verdict-cache.js';
import type { CachedVerdict } from './verdict.js';

/** How strongly a route insists on its session. */
export interface SessionRequirement {
  /** The most milliseconds since the person last proved who they are; any age when absent. */
  maxAuthAge?: number;
  /** Counts from the second factor, where the session has proved one. */
  bySecondFactor?: boolean;
  /** Lets in an admin who has yet to prove a second factor, where that is required. */
  mayLackSecondFactor?: boolean;
  /** `strict` reads Postgres on every check; `cached` may believe a verdict of up to `CACHE_LEASE`. */
  consistency: 'cached' | 'strict';
}

/**
 * Decides whether a session lives. A cached verdict can only let in: before it refuses for a reason
 * that time or a change could have lifted, Postgres is asked.
 */
@Injectable()
export class SessionCheck {
  /** How many checks were answered by whom; `unavailable` by nobody. */
  readonly answers = { cache: 0, postgres: 0, unavailable: 0 };
  private readonly cacheTurn = new TurnBatch((ids) => this.verdicts.read(ids).catch(() => NO_ANSWERS));
  private readonly missTurn = new TurnBatch((ids) => this.readAndFill(ids));

  constructor(
    private readonly reader: SessionReader,
    private readonly verdicts: VerdictCache,
    private readonly delivery: KeyDelivery,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * The session behind a token, if it lives and meets the requirement.
   * @throws Problem `auth.session_ended`, `auth.token_expired` (this one token was denied),
   * `auth.invalid_token` (there is no such session of this user), `auth.reauthentication_required` (RFC 9470),
   * `auth.second_factor_required`, `auth.unavailable`
   */
  async require(principal: Principal, requirement: SessionRequirement): Promise<SessionSnapshot> {
    const { sessionId } = principal;
    const isCached = requirement.consistency === 'cached';
    const verdict = isCached ? (await this.cacheTurn.ask(sessionId)).get(sessionId) : undefined;
    if (verdict?.state === 'live' || verdict?.state === 'ended') this.answers.cache += 1;
    if (verdict?.state === 'ended') throw sessionEnded(verdict.ended);
    if (verdict?.state === 'live') {
      const { snapshot } = verdict;
      if (snapshot.userId !== principal.userId) throw new Problem('auth.invalid_token');
      if (!this.objection(snapshot, principal, requirement)) return this.letIn(snapshot);
    }
    // Whoever holds no lease must not fill: somebody else does, or the cache is away.
    const snapshot = await this.fromPostgres(sessionId, verdict === null);
    if (snapshot?.userId !== principal.userId) throw new Problem('auth.invalid_token');
    const objection = this.objection(snapshot, principal, requirement);
    if (objection) throw objection;
    return this.letIn(snapshot);
  }

  /** The access token is of the session's present keys. */
  private letIn(snapshot: SessionSnapshot): SessionSnapshot {
    if (snapshot.undelivered) this.delivery.note(snapshot);
    return snapshot;
  }

  private objection(
    snapshot: SessionSnapshot,
    { tokenId, edition }: Principal,
    { maxAuthAge, bySecondFactor, mayLackSecondFactor }: SessionRequirement,
  ): Problem | null {
    const now = this.clock.now();
    const ended = judge(snapshot, this.settings, now);
    if (ended) return sessionEnded(ended);
    if (edition !== snapshot.edition || snapshot.deniedTokens.includes(tokenId)) return tokenDenied();
    if (!mayLackSecondFactor && lacksSecondFactor(snapshot, this.settings))
      return new Problem('auth.second_factor_required');
    if (maxAuthAge === undefined) return null;
    const factorAt = bySecondFactor ? snapshot.secondFactorAt : null;
    const isStale = (factorAt ?? snapshot.authenticatedAt) + maxAuthAge <= now;
    return isStale ? reauthenticationRequired(maxAuthAge, { bySecondFactor: factorAt !== null }) : null;
  }

  private async fromPostgres(id: string, mayFill: boolean): Promise<SessionSnapshot | undefined> {
    try {
      const snapshot = mayFill ? (await this.missTurn.ask(id)).get(id) : await this.reader.read(id);
      this.answers.postgres += 1;
      return snapshot;
    } catch (error) {
      this.answers.unavailable += 1;
      throw error;
    }
  }

  private async readAndFill(ids: string[]): Promise<Map<string, SessionSnapshot>> {
    const leases = await this.verdicts.lease(ids).catch(() => []);
    const readAt = this.clock.now();
    const snapshots = await this.reader.readMany(ids);
    void this.verdicts.fill(leases, snapshots, readAt);
    return snapshots;
  }
}

/** The cache erred or took too long: Postgres answers in its place. */
const NO_ANSWERS: ReadonlyMap<string, CachedVerdict | null> = new Map();

/** @param about whose session it was, where the request does not say */
export function sessionEnded(
  { reason, at }: Ended,
  about?: Pick<Principal, 'userId' | 'sessionId'>,
): Problem {
  return new Problem('auth.session_ended', {
    members: { reason, endedAt: new Date(at).toISOString() },
    about,
  });
}

/** The session lives on, so the client is to do what it does when a token is used up: refresh. */
export function tokenDenied(): Problem {
  return new Problem('auth.token_expired');
}

export function reauthenticationRequired(maxAuthAge: number, { bySecondFactor = false } = {}): Problem {
  const seconds = Math.floor(maxAuthAge / 1_000);
  return new Problem('auth.reauthentication_required', {
    members: { maxAuthAge: seconds, ...(bySecondFactor && { bySecondFactor }) },
    headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age="${seconds}"` },
  });
}
