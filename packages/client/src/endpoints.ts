import type { Grant, MfaRequired, Operations, Problem } from './api-types.js';
import type { AuthRequest, CredentialsMode, Person } from './credentials.js';
import { ApiProblem, AuthUnavailable } from './errors.js';
import { orAborted, type Patience, type Time } from './time.js';

export interface Answer {
  status: number;
  /** The parsed body if it is JSON. */
  body: unknown;
  retryAfter?: number;
}

export interface DoorParts {
  base: string;
  mode: CredentialsMode;
  fetch: typeof globalThis.fetch;
  time: Time;
  patience: Patience;
  /** Timeout of one exchange in ms. */
  limit: number;
}

interface ExchangeOptions {
  /** null: no timeout */
  limit?: number | null;
  signal?: AbortSignal | null;
}

/** The endpoints that begin, renew and end sessions: POST /v1/auth/… */
export class Endpoints {
  constructor(private readonly parts: DoorParts) {}

  /**
   * @throws AuthUnavailable if there is no complete answer; whether the server has processed the request is then
   *   unknown
   */
  post(name: string, { headers, body }: AuthRequest, options: ExchangeOptions = {}): Promise<Answer> {
    if (body === undefined) return this.exchange(name, { method: 'POST', headers }, options);
    const json = { ...headers, 'content-type': 'application/json' };
    return this.exchange(name, { method: 'POST', headers: json, body: JSON.stringify(body) }, options);
  }

  /**
   * Asks whose access token the browser sends. The request costs the server no I/O.
   * @returns null if the browser sends no valid token, undefined if the server cannot be reached
   */
  async whoami(): Promise<Person | null | undefined> {
    const answer = await this.exchange('whoami', {}, {}).catch(() => undefined);
    if (answer?.status === 401 && problemIn(answer)) return null;
    const { userId, sessionId } = (answer?.body ?? {}) as Partial<
      Operations['GET /v1/auth/whoami']['answer']
    >;
    return answer?.status === 200 && userId && sessionId ? { userId, sessionId } : undefined;
  }

  private async exchange(name: string, init: RequestInit, options: ExchangeOptions): Promise<Answer> {
    const { limit = this.parts.limit, signal } = options;
    const late = new AbortController();
    const abort = () => late.abort(signal?.reason);
    const giveUp = () => late.abort(new Error(`no answer in ${limit} ms`));
    const cancel = limit === null ? undefined : this.parts.time.after(limit, giveUp);
    signal?.addEventListener('abort', abort);
    try {
      return await orAborted(this.ask(name, { ...init, signal: late.signal }), late.signal);
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new AuthUnavailable('the server did not answer', { cause });
    } finally {
      cancel?.();
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Redirects are errors: a redirect would send the tokens to another address. */
  private async ask(name: string, init: RequestInit): Promise<Answer> {
    const { base, mode, fetch, patience } = this.parts;
    const response = await fetch(`${base}/v1/auth/${name}`, {
      ...init,
      credentials: mode,
      redirect: 'error',
    });
    const body = parseJson(await response.text());
    return { status: response.status, body, retryAfter: patience.retryAfterOf(response) };
  }
}

/** @returns undefined if the text is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The problem in a body, if the server itself wrote it. A proxy or a captive portal can send any body with any
 * status.
 */
export function problemIn({ body }: Pick<Answer, 'body'>): Problem | undefined {
  const { code, requestId } = (body ?? {}) as Partial<Problem>;
  return typeof code === 'string' && typeof requestId === 'string' ? (body as Problem) : undefined;
}

/**
 * The session in a successful answer. Undefined for all other answers, and for a bearer session without both tokens.
 */
export function grantIn({ status, body }: Answer, transport: 'cookie' | 'bearer'): Grant | undefined {
  const grant = body as Grant | null | undefined;
  if (status !== 200 || typeof grant?.user?.id !== 'string') return undefined;
  const complete = transport === 'cookie' || (grant.accessToken && grant.refreshToken);
  return complete ? grant : undefined;
}

/** The challenge in the answer to a login that still needs a second factor. */
export function challengeIn({ status, body }: Answer): MfaRequired | undefined {
  const challenge = body as MfaRequired | null | undefined;
  const isChallenge = status === 200 && challenge?.status === 'mfa_required' && !!challenge.challengeToken;
  return isChallenge ? challenge : undefined;
}

/** The error for an answer that is neither the requested result nor the end of the session. */
export function failureOf(answer: Answer): Error {
  const { status, retryAfter } = answer;
  const problem = problemIn(answer);
  const isFinal = status >= 400 && status < 500 && status !== 429;
  if (problem && isFinal) return new ApiProblem(problem);
  return new AuthUnavailable(`the server answered ${problem?.code ?? status}`, {
    retryAfter,
    cause: problem,
  });
}
