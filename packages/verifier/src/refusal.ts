/** The name of the product in the types of problems. It has to be that of the application. */
const PRODUCT = 'drawbridge';

const UNAVAILABLE = 'Try again with the same tokens. Your session has not ended.';
/** The answers of the application for the same requests (RFC 9457). */
const PROBLEMS = {
  'request.invalid': [400, 'The request is not valid', 'Fix the request and send it again.'],
  'auth.ambiguous_credentials': [400, 'More than one credential', 'Send exactly one credential per request.'],
  'auth.unauthenticated': [401, 'Not logged in', 'Log in and send the access token with the request.'],
  'auth.invalid_token': [401, 'The token is not valid', 'Log in again.'],
  'auth.token_expired': [401, 'The access token has expired', 'Refresh the session and try again.'],
  'auth.session_ended': [401, 'The session has ended', 'Log in again.'],
  'auth.invalid_key': [
    401,
    'The API key is not valid',
    'Use a live key. This service does not say why it refuses one.',
  ],
  'auth.unavailable': [503, 'Temporarily unavailable', UNAVAILABLE],
} as const satisfies Record<string, readonly [number, string, string]>;

export type RefusalCode = keyof typeof PROBLEMS;

const CHALLENGES: Partial<Record<RefusalCode, string>> = {
  'auth.invalid_token': 'Bearer error="invalid_token"',
  'auth.token_expired': 'Bearer error="invalid_token", error_description="expired"',
  'auth.session_ended': 'Bearer error="invalid_token", error_description="session ended"',
};

/** A refused request, with the answer that the application would give. Clients decide by the code. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  /** @param members further members of the body, such as `reason` and `endedAt` of an ended session */
  constructor(
    readonly code: RefusalCode,
    readonly members: Readonly<Record<string, unknown>> = {},
  ) {
    super(code);
    this.status = PROBLEMS[code][0];
  }

  get headers(): Record<string, string> {
    const headers: Record<string, string> = {
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
    };
    if (this.status === 401) headers['www-authenticate'] = CHALLENGES[this.code] ?? 'Bearer';
    if (this.status === 503) headers['retry-after'] = '1';
    return headers;
  }

  /** @param requestId appears in the answer and in the log; a UUID */
  body(requestId: string = crypto.randomUUID()): Record<string, unknown> {
    const [status, title, detail] = PROBLEMS[this.code];
    return {
      type: `urn:${PRODUCT}:problem:${this.code}`,
      title,
      status,
      detail,
      instance: `urn:uuid:${requestId}`,
      code: this.code,
      requestId,
      ...this.members,
    };
  }
}
