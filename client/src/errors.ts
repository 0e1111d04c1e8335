import type { Problem } from './api-types.js';

/**
 * Why a session ended, as the server says it. Three are ours: `replaced`, when another person has logged in from here
 * meanwhile; `cookies_refused`, when the browser did not keep the cookies of a login; `unknown`, when the server does not
 * know the tokens, or they are gone without a word.
 */
export type EndReason = NonNullable<Problem['reason']> | 'replaced' | 'cookies_refused' | 'unknown';

const COOKIES_REFUSED =
  'the browser did not keep the cookies of the login: over plain HTTP use localhost (not in Safari) or COOKIE_SECURE=false, else HTTPS';

/** It could not be found out now whether the session lives. Nobody has been logged out: try again. */
export class AuthUnavailable extends Error {
  override readonly name: string = 'AuthUnavailable';
  /** Milliseconds that the server asks to wait, where it said so. */
  readonly retryAfter?: number;

  constructor(message: string, { cause, retryAfter }: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, { cause });
    this.retryAfter = retryAfter;
  }
}

/**
 * The access token had expired, and the body was a stream that has been read. The session is fresh now and the server
 * has done nothing: make the call again with a new stream.
 */
export class BodyNotReplayable extends AuthUnavailable {
  override readonly name = 'BodyNotReplayable';

  constructor() {
    super('the access token had expired, and a stream cannot be sent twice: call again with a new one');
  }
}

/** The only end there is: log in again, and tell the person why. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';

  /** @param endedAt RFC 3339, where the server said it */
  constructor(
    readonly reason: EndReason,
    readonly endedAt?: string,
  ) {
    super(reason === 'cookies_refused' ? COOKIES_REFUSED : `the session has ended: ${reason}`);
  }
}

/** The server refuses what was asked of it, as such: `code` says why, `auth.invalid_credentials` for one. */
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
