import type { Problem, ProblemCode } from '../../platform/api/problem.js';

/** The server refuses the caller: the client should log in, or tell the person why. */
const CLOSE_ENDED = 4401;
/** The caller may not use this route any more. */
const CLOSE_FORBIDDEN = 4403;
/** The access token was denied, and the session goes on: the client should refresh and connect again. */
const CLOSE_TOKEN_EXPIRED = 4408;
/** RFC 6455 7.4, "Try Again Later": the client should connect again with the same credential. */
const CLOSE_TRY_AGAIN = 1013;

const CLOSE_CODES: Partial<Record<ProblemCode, number>> = {
  'auth.token_expired': CLOSE_TOKEN_EXPIRED,
  'auth.forbidden': CLOSE_FORBIDDEN,
  'auth.insufficient_scope': CLOSE_FORBIDDEN,
};

/** The last message to a client whose connection the server ends. */
export interface EndMessage {
  /** The close code of a WebSocket. */
  close: number;
  /** The type of the last event of a stream; null if the client should just connect again. */
  event: 'session_ended' | null;
  data: {
    code: ProblemCode;
    /** Why the session ended, as in `auth.session_ended`. */
    reason?: unknown;
  };
}

/** Tells why a connection ends, in the words of the API's problems. */
export function endMessage({ code, status, options: { members } }: Problem): EndMessage {
  const isTemporary = status >= 500 || status === 429;
  return {
    close: isTemporary ? CLOSE_TRY_AGAIN : (CLOSE_CODES[code] ?? CLOSE_ENDED),
    event: isTemporary ? null : 'session_ended',
    data: { code, ...(members?.['reason'] !== undefined && { reason: members['reason'] }) },
  };
}
