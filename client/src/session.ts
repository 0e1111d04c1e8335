import type { Grant, Problem } from './api-types.js';
import type { Credentials, Held } from './credentials.js';
import { failureOf, grantIn, problemIn, type Answer, type AuthDoor } from './door.js';
import { AuthUnavailable, BodyNotReplayable, SessionEnded, type EndReason } from './errors.js';
import { exclusively, type Locks } from './locks.js';
import { orAborted, type Patience, type Time } from './time.js';

/** A refresh that fails for a moment is tried so often; with its pauses that takes some seconds. */
const MOST_TRIES = 4;
/** Of one call: what has just been issued may have expired again on the way. */
const MOST_RENEWALS = 3;

export interface SessionParts {
  credentials: Credentials;
  door: AuthDoor;
  locks: Locks;
  /** Of the lock that all tabs share. */
  name: string;
  time: Time;
  patience: Patience;
  refreshAhead: boolean;
  onEnded: ((ended: SessionEnded) => void) | undefined;
}

/** What a 401 says. */
export type Refusal = Pick<Problem, 'code' | 'reason' | 'endedAt'>;

/** What one try of a call has come to. */
export interface Tried<T> {
  refusal?: Refusal;
  value: T;
}

/** The life of the session as one tab sees it: one refresh for all calls that wait, and one end. */
export class Session {
  ended: SessionEnded | null = null;
  /** Whose session this client is for: no call is repeated as somebody else. */
  private userId: string | undefined;
  private renewing: Promise<Held> | null = null;
  /** A login has set cookies, and no answer has shown yet that the browser sends them. */
  private awaitsCookies = false;

  constructor(private readonly parts: SessionParts) {}

  /** Tries a call, and again after a refresh where that is all that it lacks. */
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
      if (renewals === MOST_RENEWALS) throw new AuthUnavailable(`${refusal.code}, also after a refresh`);
      await orAborted(this.renew(held, refusal), signal);
      if (!replayable) throw new BodyNotReplayable();
    }
  }

  /** Does something that changes the session while no other tab does. */
  exclusively<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    return exclusively(this.parts, work);
  }

  /** The same until it has worked, for what may be asked twice. */
  async insist<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.exclusively(work);
      } catch (error) {
        const maybe = error instanceof AuthUnavailable && failures < MOST_TRIES;
        if (!maybe || !(await this.parts.patience.pause(failures, error.retryAfter))) throw error;
      }
    }
  }

  /** A login has worked. */
  async begin(grant: Grant): Promise<void> {
    await this.parts.credentials.begin(grant);
    this.awaitsCookies = this.parts.credentials.transport === 'cookie';
    this.userId = grant.user.id;
    this.ended = null;
  }

  /** The server has said that it is over. That the storage fails now changes nothing about it. */
  async finish(held: Held, reason: EndReason, endedAt?: string): Promise<SessionEnded> {
    await this.parts.credentials.drop(held, reason, endedAt).catch(() => undefined);
    return this.end(reason, endedAt);
  }

  /** It is over, here or in another tab. The app is told once. */
  end(reason: EndReason, endedAt?: string): SessionEnded {
    if (this.ended) return this.ended;
    const ended = (this.ended = new SessionEnded(reason, endedAt));
    const { onEnded } = this.parts;
    if (onEnded) void Promise.resolve(ended).then(onEnded);
    return ended;
  }

  /** What a call is made with. A refresh that is only due goes on beside it, unless the call has one try. */
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

  /** One refresh for all that ask meanwhile. Once it is under way nobody's abort stops it. */
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
    if (held.mark !== stale.mark) return held; // somebody was quicker
    const fresh = waited && credentials.moved ? await door.whoami() : undefined;
    if (fresh) return this.requireOurs(credentials.moved!(fresh), refusal);
    const answer = await door.post('refresh', credentials.refreshRequest(held)!);
    const grant = grantIn(answer, credentials.transport);
    if (!grant) throw await this.refused(answer, held);
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

  /** Only what the server says of the session itself ends it. */
  private async refused(answer: Answer, held: Held): Promise<Error> {
    const problem = answer.status === 401 ? problemIn(answer) : undefined;
    switch (problem?.code) {
      case 'auth.session_ended':
        return this.finish(held, problem.reason ?? 'unknown', problem.endedAt);
      case 'auth.unauthenticated':
        return this.finish(held, this.awaitsCookies ? 'cookies_refused' : 'unknown');
      case 'auth.invalid_token':
        return this.finish(held, 'unknown');
      default:
        return failureOf(answer);
    }
  }
}

export const isOfAnother = (userId: string | undefined, ours: string | undefined): boolean =>
  userId !== undefined && ours !== undefined && userId !== ours;

/**
 * Whether a refresh finds out more. A session that has ended may have been replaced in another tab, whose refresh token
 * is the one that counts; a key that is no more makes access tokens invalid and leaves refresh tokens good. Cookies
 * can vanish; whom nobody has ever known is just not logged in.
 */
export function mayBeMended({ code }: Refusal, { userId }: Held): boolean {
  if (code === 'auth.unauthenticated') return userId !== undefined;
  return ['auth.token_expired', 'auth.invalid_token', 'auth.session_ended'].includes(code);
}
