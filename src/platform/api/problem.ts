import type { Principal } from '../http/request.js';
import { Registry, type Defined } from '../runtime/registry.js';
import { PRODUCT } from '../../product.js';

type Entry = readonly [status: number, title: string, detail: string];

/**
 * The error answers of the core, in one flat table (RFC 9457). Clients decide by the code. `detail` is for people and
 * never contains data from the request. A feature adds its own with {@link defineProblem}.
 */
const CORE = {
  'request.invalid': [400, 'The request is not valid', 'Fix the request and send it again.'],
  'auth.ambiguous_credentials': [400, 'More than one credential', 'Send exactly one credential per request.'],
  'auth.unauthenticated': [401, 'Not logged in', 'Log in and send the access token with the request.'],
  'auth.invalid_token': [401, 'The token is not valid', 'Log in again.'],
  'auth.token_expired': [401, 'The access token has expired', 'Refresh the session and try again.'],
  'auth.session_ended': [401, 'The session has ended', 'Log in again.'],
  'auth.invalid_key': [
    401,
    'The API key is not valid',
    'Use a live API key. This service does not say why it refuses one.',
  ],
  'auth.invalid_credentials': [401, 'Wrong credentials', 'Check your input and try again.'],
  'auth.reauthentication_required': [401, 'Recent authentication required', 'Reauthenticate and try again.'],
  'auth.invalid_dpop_proof': [
    401,
    'The DPoP proof is not valid',
    'Sign a new proof for this request. This service does not say why it refuses one.',
  ],
  'auth.dpop_nonce_required': [
    401,
    'A nonce is required in the DPoP proof',
    'Sign a new proof with the nonce of the DPoP-Nonce header.',
  ],
  'auth.forbidden': [403, 'Not allowed', 'This account does not have the required permission.'],
  'auth.insufficient_scope': [
    403,
    'The API key lacks the scope',
    'Use a key with the scope that `scope` names.',
  ],
  'auth.second_factor_required': [
    403,
    'A second factor is required',
    'Enrol a second factor, or log in with it.',
  ],
  'auth.device_key_required': [
    403,
    'A device key is required',
    'Use a browser or an app that binds the session to a key of its device.',
  ],
  'auth.device_proof_required': [
    403,
    'A proof of the device key is required',
    'Sign the challenge of the Secure-Session-Challenge header.',
  ],
  'request.cross_site': [
    403,
    'Cross-site request refused',
    'Call from the same origin. From a trusted origin, use the bearer transport without cookies.',
  ],
  'request.insecure': [403, 'Plain HTTP refused', 'Use HTTPS, with new credentials.'],
  'resource.not_found': [404, 'Not found', 'No resource exists at this URL.'],
  'request.method': [405, 'Method not allowed', 'The Allow header lists the supported methods.'],
  'resource.conflict': [409, 'Conflict', 'The current state of the resource does not allow this.'],
  'request.too_large': [413, 'The request is too large', 'Send a smaller request.'],
  'request.media_type': [415, 'Unsupported media type', 'Send application/json.'],
  'request.upgrade_required': [426, 'A WebSocket is required', 'Open a WebSocket at this URL.'],
  'request.rate_limited': [
    429,
    'Too many requests',
    'Wait before you try again; see the Retry-After header.',
  ],
  'internal.error': [
    500,
    'Internal server error',
    'The error has been logged. Quote the request id when you report it.',
  ],
  'auth.unavailable': [
    503,
    'Temporarily unavailable',
    'Try again with the same tokens. Your session has not ended.',
  ],
} as const satisfies Record<string, Entry>;

/** The error answers of the core and of all features. */
export const PROBLEMS = new Registry<Entry>(
  { call: 'defineProblem', names: /^[a-z][a-z_]{0,30}[.][a-z][a-z_]{0,40}$/ },
  CORE,
);

/** A code of the core, or one that {@link defineProblem} has returned. */
export type ProblemCode = keyof typeof CORE | Defined<'problem'>;

/** The statuses that a problem of a feature may have (RFC 9110 15.5, 15.6; RFC 4918; RFC 6585). */
export type ProblemStatus =
  400 | 402 | 403 | 404 | 409 | 410 | 412 | 415 | 422 | 423 | 428 | 429 | 502 | 503 | 504;

/**
 * Defines an error answer of a feature. Call it where a module loads, not in a function. A duplicate code stops the
 * boot.
 *
 * @param code the feature's name and the problem's, as in `billing.over_limit`. Clients decide by it, so keep it
 * @param entry `title` names the kind of problem and `detail` tells people what to do; neither contains request data
 */
export function defineProblem(
  code: string,
  { status, title, detail }: { status: ProblemStatus; title: string; detail: string },
): Defined<'problem'> {
  return PROBLEMS.define(code, [status, title, detail]) as Defined<'problem'>;
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export interface ProblemOptions {
  /** Replaces the catalogue's status by a more precise one, such as 408. */
  status?: number;
  /** Replaces the catalogue's sentence. Must not contain data from the request. */
  detail?: string;
  /** Further members of the body. */
  members?: Record<string, unknown>;
  headers?: Record<string, string>;
  /** The underlying error, for the log only. */
  cause?: unknown;
  /** The user and session concerned, for the log only. */
  about?: Pick<Principal, 'userId' | 'sessionId'>;
}

/** An error with a defined answer. Throw it anywhere in a request: {@link ProblemFilter} sends it as problem+json. */
export class Problem extends Error {
  readonly status: number;

  constructor(
    readonly code: ProblemCode,
    readonly options: ProblemOptions = {},
  ) {
    super(code, { cause: options.cause });
    this.status = options.status ?? PROBLEMS.get(code)[0];
  }

  /** A 401 always says how to authenticate (RFC 9110 15.5.2, RFC 6750 3, RFC 9449 7.1), a 503 when to retry. */
  get headers(): Record<string, string> {
    const headers = { ...this.options.headers };
    if (this.status === 401) headers['www-authenticate'] ??= CHALLENGES[this.code] ?? 'Bearer';
    if (this.status === 503) headers['retry-after'] ??= '1';
    return headers;
  }

  body(requestId: string): Record<string, unknown> {
    const [, title, detail] = PROBLEMS.get(this.code);
    return {
      type: PRODUCT.problemUrn + this.code,
      title,
      status: this.status,
      detail: this.options.detail ?? detail,
      instance: `urn:uuid:${requestId}`,
      code: this.code,
      requestId,
      ...this.options.members,
    };
  }
}

const CHALLENGES: Partial<Record<ProblemCode, string>> = {
  'auth.invalid_token': 'Bearer error="invalid_token"',
  'auth.token_expired': 'Bearer error="invalid_token", error_description="expired"',
  'auth.session_ended': 'Bearer error="invalid_token", error_description="session ended"',
  'auth.invalid_dpop_proof': 'DPoP error="invalid_dpop_proof", algs="ES256"',
  'auth.dpop_nonce_required': 'DPoP error="use_dpop_nonce", algs="ES256"',
};

/** An error of one field. `path` is dotted, and empty for the whole body. */
export interface FieldError {
  path: string;
  message: string;
}

/** The problem `request.invalid` with errors of single fields. */
export function invalidRequest(errors: FieldError[]): Problem {
  return new Problem('request.invalid', { members: { errors } });
}
