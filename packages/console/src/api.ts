import {
  ApiProblem,
  AuthUnavailable,
  createClient,
  type Operations,
  type Problem,
  type SessionEnded,
} from '@drawbridge/client';
import { askForProof } from './step-up.js';

type Operation = keyof Operations;

export interface RequestParts<Body> {
  /** The values of the placeholders in the path. */
  params?: Record<string, string | number>;
  /** Undefined values and empty texts are left out. */
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  body?: Body;
  /** Sends no cookies, for public operations: they work although the session of the page has ended. */
  anonymous?: boolean;
  signal?: AbortSignal;
}

const endListeners = new Set<(ended: SessionEnded) => void>();

/** Cookies carry the session. No script, this one included, can read them. */
export const api = createClient({
  transport: 'cookie',
  onSessionEnded: (ended) => endListeners.forEach((listener) => listener(ended)),
});

/** @returns a function that removes the listener */
export function onSessionEnded(listener: (ended: SessionEnded) => void): () => void {
  endListeners.add(listener);
  return () => endListeners.delete(listener);
}

/**
 * Calls an operation of the API. If the server wants a recent proof of identity, the page asks for it in a dialog and
 * sends the request again.
 *
 * ```ts
 * const { items } = await request('GET /v1/sessions');
 * await request('DELETE /v1/sessions/{id}', { params: { id } });
 * ```
 * @throws ApiProblem | SessionEnded | AuthUnavailable | TypeError (no network)
 */
export function request<O extends Operation>(
  operation: O,
  parts: RequestParts<Operations[O]['body']> = {},
): Promise<Operations[O]['answer']> {
  const send = async () => {
    const response = await api.fetch(...fetchArguments(operation, parts));
    const text = await response.text();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    if (response.ok) return body as Operations[O]['answer'];
    throw failureOf(response, body as Problem);
  };
  return withProof(operation.startsWith('GET ') ? send : () => asChange(send));
}

/** A Web Lock, which the tabs of the browser share. */
const CHANGES = 'console: changes';

/**
 * Runs a request that may give the session new keys, as a change of the password does. The server then closes the event
 * stream at once, and the answer with the new cookies arrives later. See {@link changesDone}.
 */
export function asChange<Result>(act: () => Promise<Result>): Promise<Result> {
  return navigator.locks ? navigator.locks.request(CHANGES, { mode: 'shared' }, act) : act();
}

/**
 * Resolves when no tab waits for the answer to a change. A refresh with the old cookies would make the server believe
 * that the answer was lost: the session would lose its new proof of a second factor.
 */
export async function changesDone(): Promise<void> {
  await navigator.locks?.request(CHANGES, () => undefined);
}

/**
 * Runs an action. If the server wants a recent proof of identity, asks the user for it and runs the action again.
 *
 * @throws what the action throws
 */
export async function withProof<Result>(act: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!isProofMissing(error)) throw error;
      const needsSecondFactor = error.problem.bySecondFactor ?? false;
      if (!(await askForProof({ needsSecondFactor }))) throw error;
    }
  }
}

const isProofMissing = (error: unknown): error is ApiProblem =>
  error instanceof ApiProblem && error.code === 'auth.reauthentication_required';

/** The error for an answer: of the same kind as the client's own. */
function failureOf({ status, headers }: Response, problem: Problem): Error {
  if (status !== 429 && status < 500) return new ApiProblem(problem);
  const retryAfter = Number(headers.get('retry-after')) * 1_000 || undefined;
  return new AuthUnavailable(`the server answered ${status}`, { retryAfter, cause: problem });
}

function fetchArguments(
  operation: Operation,
  { params = {}, query = {}, headers = {}, body, anonymous, signal }: RequestParts<unknown>,
): [string, RequestInit] {
  const [method, template] = operation.split(' ') as [string, string];
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name]!));
  const values = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(values.map(([name, value]) => [name, String(value)]));
  const json = body !== undefined && { 'content-type': 'application/json' };
  return [
    values.length === 0 ? path : `${path}?${search}`,
    {
      method,
      headers: { ...json, ...headers },
      ...(anonymous && { credentials: 'omit' }),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    },
  ];
}
