import type { CredentialsMode } from './credentials.js';

export type FetchInput = Parameters<typeof globalThis.fetch>[0];

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** One call of the app. The client may have to send it more than once. */
export class Call {
  readonly signal: AbortSignal | null | undefined;
  /** A safe method (RFC 9110 9.2.1): the client may repeat the call without knowing the outcome of the first try. */
  readonly safe: boolean;
  /** False for a stream, which can be read only once. The body of a `Request` is copied for each try. */
  readonly replayable: boolean;
  /** The app wants an unauthenticated call, for endpoints that are open to anonymous callers. */
  readonly anonymous: boolean;
  private readonly target: string | Request;

  /** @throws TypeError for a URL that is not below the base: the client sends tokens to no other host */
  constructor(
    base: string,
    input: FetchInput,
    private readonly init: RequestInit,
  ) {
    const request = typeof input === 'object' && 'clone' in input ? input : undefined;
    this.target = request ?? below(base, String(input));
    if (request) below(base, request.url);
    this.signal = init.signal ?? request?.signal;
    this.safe = SAFE_METHODS.includes((init.method ?? request?.method ?? 'GET').toUpperCase());
    this.replayable = !isStream(init.body);
    this.anonymous = (init.credentials ?? request?.credentials) === 'omit';
  }

  send(
    fetch: typeof globalThis.fetch,
    mode: CredentialsMode,
    extra: Record<string, string>,
  ): Promise<Response> {
    const { target } = this;
    const ofRequest = typeof target === 'string' ? undefined : target;
    const headers = new Headers(this.init.headers ?? ofRequest?.headers);
    for (const [name, value] of Object.entries(extra)) headers.set(name, value);
    return fetch(ofRequest ? ofRequest.clone() : (target as string), {
      ...this.init,
      headers,
      credentials: mode,
    });
  }
}

function below(base: string, url: string): string {
  if (url.startsWith(`${base}/`)) return url;
  if (!url.startsWith('/')) throw new TypeError(`${url} is not below ${base}/: use fetch itself`);
  return base + url;
}

function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  return 'getReader' in body || 'pipe' in body || Symbol.asyncIterator in body;
}

/**
 * The base URL of the API, absolute and without a slash at its end. A path or an empty string is resolved against the
 * origin of the page.
 * @throws TypeError if `baseUrl` is a path or empty and there is no page
 */
export function baseOf(baseUrl: string): string {
  const page = (globalThis as { location?: { origin: string } }).location?.origin;
  const isPath = baseUrl === '' || baseUrl.startsWith('/');
  const base = (page && isPath ? page + baseUrl : baseUrl).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/?#]+[^?#]*$/.test(base))
    throw new TypeError('baseUrl must begin with https:// or http://');
  return base;
}
