import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/runtime/clock.js';
import { Problem } from '../../platform/api/problem.js';
import { requireClaims } from '../../platform/claims/declared-claims.js';
import type { Principal } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import type { Ended } from '../revocation/end-reason.js';
import { keyProofRequired, lacksKeyProof } from '../binding/key-proof.js';
import { KeyDelivery } from '../refresh/key-delivery.js';
import { CachedReader } from './cached-reader.js';
import { UNTRACED, type CheckTrace } from './check-timings.js';
import { SessionReader } from './session-reader.js';
import { judge, lacksDeviceKey, lacksSecondFactor, type SessionSnapshot } from './session-snapshot.js';
import { SessionCache } from './session-cache.js';

/** The requirements of a route for its session. */
export interface SessionRequirement {
  /** The maximum time since the user last proved their identity, in milliseconds; any age when absent. */
  maxAuthAge?: number;
  /** Counts from the last proof of a second factor, if the session has one. */
  bySecondFactor?: boolean;
  /** Accepts a privileged role without the second factor and the device key that the settings require of it. */
  mayLackSecondFactor?: boolean;
  /** Accepts a bound session without a proof of its device key. */
  mayLackKeyProof?: boolean;
  /** `strict` reads Postgres on every check; `cached` may use a cached session up to `CACHE_LEASE` old. */
  consistency: 'cached' | 'strict';
}

/**
 * Decides whether a session is live and meets the requirements of a route. A cached session can only let a request
 * pass. Before the check refuses for a reason that time or a change could have lifted, it reads Postgres.
 */
@Injectable()
export class SessionCheck {
  private readonly sessions: CachedReader<SessionSnapshot>;

  constructor(
    reader: SessionReader,
    sessionCache: SessionCache,
    private readonly delivery: KeyDelivery,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {
    this.sessions = new CachedReader(sessionCache, reader, clock);
  }

  /** See {@link CachedReader}. */
  get answers() {
    return this.sessions.answers;
  }

  /** See {@link CachedReader}. */
  get durations() {
    return this.sessions.durations;
  }

  /**
   * Returns the session of an access token, if it is live and meets the requirement.
   *
   * @param trace learns which store has answered
   * @throws Problem `auth.session_ended`, `auth.token_expired` (this token was denied), `auth.invalid_token` (this
   * user has no such session), `auth.reauthentication_required` (RFC 9470, or no proof of the device key),
   * `auth.second_factor_required`, `auth.device_key_required`, `auth.unavailable`
   */
  async require(
    principal: Principal,
    requirement: SessionRequirement,
    trace: CheckTrace = UNTRACED,
  ): Promise<SessionSnapshot> {
    const { sessionId } = principal;
    const isCached = requirement.consistency === 'cached';
    const entry = isCached ? await this.sessions.fromCache(sessionId) : undefined;
    if (entry?.state === 'ended') throw sessionEnded(entry.ended);
    if (entry?.state === 'live') {
      const { snapshot } = entry;
      if (snapshot.userId !== principal.userId) throw new Problem('auth.invalid_token');
      if (!this.objection(snapshot, principal, requirement)) return this.letIn(snapshot);
    }
    trace.answeredBy = 'postgres';
    const snapshot = await this.sessions.fromPostgres(sessionId, entry);
    if (snapshot?.userId !== principal.userId) throw new Problem('auth.invalid_token');
    requireClaims(snapshot.claims);
    const objection = this.objection(snapshot, principal, requirement);
    if (objection) throw objection;
    return this.letIn(snapshot);
  }

  /** Notes that the client has an access token of the session's current keys. */
  private letIn(snapshot: SessionSnapshot): SessionSnapshot {
    if (snapshot.undelivered) this.delivery.note(snapshot);
    return snapshot;
  }

  private objection(
    snapshot: SessionSnapshot,
    principal: Principal,
    { maxAuthAge, bySecondFactor, mayLackSecondFactor, mayLackKeyProof }: SessionRequirement,
  ): Problem | null {
    const now = this.clock.now();
    const ended = judge(snapshot, this.settings, now);
    if (ended) return sessionEnded(ended);
    const { tokenId, keyVersion } = principal;
    if (keyVersion !== snapshot.keyVersion || snapshot.deniedTokens.includes(tokenId)) return tokenDenied();
    if (!mayLackKeyProof && lacksKeyProof(snapshot, principal, this.settings))
      return principal.needsKey ? keyProofRequired() : tokenDenied(); // a token from before the binding
    if (!mayLackSecondFactor && lacksSecondFactor(snapshot, this.settings))
      return new Problem('auth.second_factor_required');
    if (!mayLackSecondFactor && lacksDeviceKey(snapshot, this.settings))
      return new Problem('auth.device_key_required');
    if (maxAuthAge === undefined) return null;
    const factorAt = bySecondFactor ? snapshot.secondFactorAt : null;
    const isStale = (factorAt ?? snapshot.authenticatedAt) + maxAuthAge <= now;
    return isStale ? reauthenticationRequired(maxAuthAge, { bySecondFactor: factorAt !== null }) : null;
  }
}

/**
 * The problem `auth.session_ended`, with the reason and the time of the end.
 *
 * @param about the session and its user, if the request does not name them
 */
export function sessionEnded(
  { reason, at }: Ended,
  about?: Pick<Principal, 'userId' | 'sessionId'>,
): Problem {
  return new Problem('auth.session_ended', {
    members: { reason, endedAt: new Date(at).toISOString() },
    about,
  });
}

/** The problem `auth.token_expired`. The session goes on, so the client should refresh, as after an expired token. */
export function tokenDenied(): Problem {
  return new Problem('auth.token_expired');
}

/**
 * The problem `auth.reauthentication_required`, with the header of RFC 9470.
 *
 * @param maxAuthAge milliseconds; the response has seconds
 */
export function reauthenticationRequired(maxAuthAge: number, { bySecondFactor = false } = {}): Problem {
  const seconds = Math.floor(maxAuthAge / 1_000);
  return new Problem('auth.reauthentication_required', {
    members: { maxAuthAge: seconds, ...(bySecondFactor && { bySecondFactor }) },
    headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age="${seconds}"` },
  });
}
