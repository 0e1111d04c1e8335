import type { Problem } from './api-types.js';

/**
 * Why a session ended, as the server reports it. The client adds three reasons:
 * - `replaced`: another user has logged in from here meanwhile.
 * - `cookies_refused`: the browser did not keep the cookies of a login.
 * - `unknown`: the server does not know the tokens, or they have disappeared without an explanation.
 */
export type EndReason = NonNullable<Problem['reason']> | 'replaced' | 'cookies_refused' | 'unknown';

const COOKIES_REFUSED =
  'the browser did not keep the cookies of the login: over plain HTTP use localhost (not in Safari) or COOKIE_SECURE=false, else HTTPS';

/** The client could not find out whether the session is still valid. The user is still logged in: try again. */
export class AuthUnavailable extends Error {
  override readonly name: string = 'AuthUnavailable';
  /** Milliseconds to wait before the next try, if the server sent `Retry-After`. */
  readonly retryAfter?: number;

  constructor(message: string, { cause, retryAfter }: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, { cause });
    this.retryAfter = retryAfter;
  }
}

/**
 * The access token had expired, and the body was a stream that has already been read. The session is fresh now, and
 * the server has done nothing: make the call again with a new stream.
 */
export class BodyNotReplayable extends AuthUnavailable {
  override readonly name = 'BodyNotReplayable';

  constructor() {
    super('the access token had expired, and a stream cannot be sent twice: call again with a new one');
  }
}

/** The session has ended. Only this error means so: ask the user to log in again, and show the reason. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';

  /** @param endedAt RFC 3339, if the server reported it */
  constructor(
    readonly reason: EndReason,
    readonly endedAt?: string,
  ) {
    super(reason === 'cookies_refused' ? COOKIES_REFUSED : `the session has ended: ${reason}`);
  }
}

/** The server rejects this request. `code` gives the reason, for example `auth.invalid_credentials`. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly code: Problem['code'];
  readonly status: number;

  constructor(readonly problem: Problem) {
    super(problem.title);
    this.code = problem.code;
    this.status = problem.status;
  }
}
