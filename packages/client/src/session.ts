import type { Grant, Problem } from './api-types.js';
import type { Credentials, Held, Person } from './credentials.js';
import { failureOf, grantIn, problemIn, type Answer, type Endpoints } from './endpoints.js';
import { AuthUnavailable, BodyNotReplayable, SessionEnded, type EndReason } from './errors.js';
import { exclusively, type Locks } from './locks.js';
import { orAborted, type Patience, type Time } from './time.js';

/** Maximum number of tries of a refresh that fails temporarily. With the pauses they take some seconds. */
const MAX_TRIES = 4;
/** Maximum number of refreshes for one call: a new token may have expired again before it arrives. */
const MAX_RENEWALS = 3;

export interface SessionParts {
  credentials: Credentials;
  door: Endpoints;
  locks: Locks;
  /** Name of the lock that all tabs share. */
  name: string;
  time: Time;
  patience: Patience;
  refreshAhead: boolean;
  onBegun: ((begun: Person) => void) | undefined;
  onEnded: ((ended: SessionEnded) => void) | undefined;
}

/** The problem of a 401. */
export type Refusal = Pick<Problem, 'code' | 'reason' | 'endedAt'>;

/** The result of one try of a call. */
export interface Tried<T> {
  refusal?: Refusal;
  value: T;
}

/** The session as one tab sees it: all waiting calls share one refresh, and the app is notified once of the end. */
export class Session {
  ended: SessionEnded | null = null;
  /** The user of this client: no call is repeated with the session of another user. */
  private userId: string | undefined;
  private renewing: Promise<Held> | null = null;
  /** A login has set cookies, and no answer has confirmed yet that the browser sends them. */
  private awaitsCookies = false;

  constructor(private readonly parts: SessionParts) {}

  /** Tries a call. If only a refresh is missing, refreshes and tries it again. */
  async authorized<T>(
    { replayable, signal }: { replayable: boolean; signal?: AbortSignal | null },
    attempt: (held: Held) => Promise<Tried<T>>,
  ): Promise<T> {
    for (let renewals = 0; ; renewals++) {
      const held = await orAborted(this.ready(replayable), signal);
      const { awaitsCookies } = this;
      const { refusal, value } = await attempt(held);
      if (awaitsCookies && refusal?.code !== 'auth.unauthenticated') this.awaitsCookies = false;
      if (!refusal || !mayBeMended(refusal, held)) return value;
      if (renewals === MAX_RENEWALS) throw new AuthUnavailable(`${refusal.code}, also after a refresh`);
      await orAborted(this.renew(held, refusal), signal);
      if (!replayable) throw new BodyNotReplayable();
    }
  }

  /** Runs an operation that changes the session, while no other tab runs one. */
  exclusively<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    return exclusively(this.parts, work);
  }

  /** As {@link exclusively}, with retries, for operations that may be repeated. */
  async insist<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.exclusively(work);
      } catch (error) {
        const maybe = error instanceof AuthUnavailable && failures < MAX_TRIES;
        if (!maybe || !(await this.parts.patience.pause(failures, error.retryAfter))) throw error;
      }
    }
  }

  /** Called after a successful login. */
  async begin(grant: Grant): Promise<void> {
    await this.parts.credentials.begin(grant);
    this.awaitsCookies = this.parts.credentials.transport === 'cookie';
    this.userId = grant.user.id;
    this.begun({ userId: grant.user.id, sessionId: grant.session.id });
  }

  /** A login is complete, in this tab or in another one. */
  begun(person: Person): void {
    this.ended = null;
    const { onBegun } = this.parts;
    if (onBegun) void Promise.resolve(person).then(onBegun);
  }

  /** The server has reported the end of the session. A failure of the storage does not change that. */
  async finish(held: Held, reason: EndReason, endedAt?: string): Promise<SessionEnded> {
    await this.parts.credentials.drop(held, reason, endedAt).catch(() => undefined);
    return this.end(reason, endedAt);
  }

  /** The session has ended, in this tab or in another one. The app is notified once. */
  end(reason: EndReason, endedAt?: string): SessionEnded {
    if (this.ended) return this.ended;
    const ended = (this.ended = new SessionEnded(reason, endedAt));
    const { onEnded } = this.parts;
    if (onEnded) void Promise.resolve(ended).then(onEnded);
    return ended;
  }

  /**
   * The credentials for a call. A refresh that is merely due runs in parallel, unless the call cannot be repeated.
   */
  private async ready(replayable: boolean): Promise<Held> {
    const { credentials, time, refreshAhead } = this.parts;
    if (this.ended) {
      if (!(await credentials.isBack(this.userId).catch(() => false))) throw this.ended;
      this.ended = null;
    }
    const held = await credentials.held();
    this.userId ??= held.userId;
    const due = refreshAhead && held.renewAt !== undefined && time.now() >= held.renewAt;
    if (held.usable && !due) return held;
    const renewed = this.renew(held);
    if (!held.usable || !replayable) return renewed;
    renewed.catch(() => undefined);
    return held;
  }

  /** All callers that need a refresh at the same time share one. Once it runs, no caller's abort stops it. */
  private async renew(stale: Held, refusal?: Refusal): Promise<Held> {
    this.renewing ??= this.insist((waited) => this.renewOnce(stale, waited, refusal)).finally(
      () => (this.renewing = null),
    );
    const held = await this.renewing;
    if (isOfAnother(held.userId, stale.userId)) throw new SessionEnded('replaced');
    return held;
  }

  private async renewOnce(stale: Held, waited: boolean, refusal?: Refusal): Promise<Held> {
    const { credentials, door } = this.parts;
    if (this.ended) throw this.ended;
    const held = this.requireOurs(await credentials.look(), refusal);
    if (held.mark !== stale.mark) return held; // another tab or call has refreshed first
    const fresh = waited && credentials.moved ? await door.whoami() : undefined;
    if (fresh) return this.requireOurs(credentials.moved!(fresh), refusal);
    const answer = await door.post('refresh', credentials.refreshRequest(held)!);
    const grant = grantIn(answer, credentials.transport);
    if (!grant) return this.refused(answer, held);
    if (isOfAnother(grant.user.id, this.userId)) throw this.end('replaced');
    this.userId = grant.user.id;
    return this.requireOurs(await credentials.renew(grant, held), refusal);
  }

  private requireOurs(held: Held, refusal: Refusal | undefined): Held {
    if (isOfAnother(held.userId, this.userId)) throw this.end('replaced');
    const gone = !this.parts.credentials.refreshRequest(held);
    if (gone) throw this.end(refusal?.reason ?? 'unknown', refusal?.endedAt);
    return held;
  }

  /**
   * Only an answer about the session itself ends it. Without the device key, calls go on to the server, whose answers
   * tell the app to reauthenticate.
   */
  private async refused(answer: Answer, held: Held): Promise<Held> {
    const problem = answer.status === 401 ? problemIn(answer) : undefined;
    switch (problem?.code) {
      case 'auth.reauthentication_required':
        return this.parts.credentials.restrict(held, problem['accessToken'] as string | undefined);
      case 'auth.session_ended':
        throw await this.finish(held, problem.reason ?? 'unknown', problem.endedAt);
      case 'auth.unauthenticated':
        throw await this.finish(held, this.awaitsCookies ? 'cookies_refused' : 'unknown');
      case 'auth.invalid_token':
        throw await this.finish(held, 'unknown');
      default:
        throw failureOf(answer);
    }
  }
}

export const isOfAnother = (userId: string | undefined, ours: string | undefined): boolean =>
  userId !== undefined && ours !== undefined && userId !== ours;

/**
 * Whether a refresh can help after this refusal:
 * - An ended session may have been replaced in another tab, whose refresh token is the valid one.
 * - A removed signing key invalidates access tokens, but not refresh tokens.
 * - Cookies can disappear. But if the client has never known a user, the caller is just not logged in.
 */
export function mayBeMended({ code }: Refusal, { userId }: Held): boolean {
  if (code === 'auth.unauthenticated') return userId !== undefined;
  return ['auth.token_expired', 'auth.invalid_token', 'auth.session_ended'].includes(code);
}
