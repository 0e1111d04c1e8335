import { PRODUCT, type CallOptions, type Client } from './client.js';
import { failureOf, parseJson } from './endpoints.js';
import { SessionEnded } from './errors.js';
import { platformLocks, type Locks } from './locks.js';
import { readEvents, type ServerEvent } from './server-events.js';
import { Patience, systemTime, type Time } from './time.js';

export type { ServerEvent };

export interface EventOptions extends CallOptions {
  /** The id of the last event that the app knows: the stream continues after it. */
  lastEventId?: string;
  /** The server sends something at least every 15 s. After this many ms of silence the client connects again [45000]. */
  maxSilence?: number;
  time?: Time;
}

export interface MessageOptions extends CallOptions {
  /** Gets each new connection, to send messages on it. */
  onOpen?: (socket: WebSocket) => void;
  /** Replaces the platform's own `WebSocket`. */
  connect?: (url: string) => WebSocket;
  time?: Time;
}

export interface WatchOptions extends Omit<EventOptions, 'lastEventId'> {
  /** Replaces the platform's own Web Locks. */
  locks?: Pick<Locks, 'request'>;
}

/** The pauses between two connections grow up to this number of failures in a row: half a minute. */
const MAX_FAILURES = 7;

/**
 * Reads the events of a stream, and connects again when the connection breaks. The access token is refreshed when it
 * has expired.
 *
 * ```ts
 * for await (const { type, data } of streamEvents(api, '/v1/notifications')) show(type, JSON.parse(data));
 * ```
 * @throws SessionEnded when the session has ended; ApiProblem when the server refuses the stream
 */
export async function* streamEvents(
  client: Pick<Client, 'fetch'>,
  path: string,
  { signal, lastEventId = '', maxSilence = 45_000, time = systemTime }: EventOptions = {},
): AsyncGenerator<ServerEvent, never> {
  const pauses = new Pauses(time, signal);
  let id = lastEventId;
  for (;;) {
    const headers = { accept: 'text/event-stream', ...(id && { 'last-event-id': id }) };
    const response = await client.fetch(path, { headers, signal }).catch(unlessEnded(signal));
    if (response && isRefusal(response))
      throw failureOf({ status: response.status, body: parseJson(await response.text()) });
    let isEnd = false;
    for await (const event of response?.ok ? readEvents(response.body!, maxSilence, time) : []) {
      pauses.failures = 0;
      isEnd = event.type === 'session_ended';
      if (isEnd) break;
      id = event.id;
      yield event;
    }
    // The next request finds out why: the client refreshes, or reports the end of the session.
    if (!isEnd) await pauses.pause();
  }
}

/**
 * Reads the messages of a WebSocket, and connects again when the connection breaks. For the cookie transport: a page
 * cannot send a bearer token with a WebSocket.
 *
 * ```ts
 * for await (const message of streamMessages(api, 'wss://app.example.com/v1/chat', { onOpen })) show(message);
 * ```
 * @throws SessionEnded when the session has ended
 */
export async function* streamMessages(
  client: Client,
  url: string,
  { signal, onOpen, connect = (to) => new WebSocket(to), time = systemTime }: MessageOptions = {},
): AsyncGenerator<unknown, never> {
  const pauses = new Pauses(time, signal);
  for (;;) {
    const socket = connect(url);
    const abort = () => socket.close();
    signal?.addEventListener('abort', abort);
    for await (const message of messagesOf(socket, () => onOpen?.(socket))) {
      pauses.failures = 0;
      yield message;
    }
    signal?.removeEventListener('abort', abort);
    signal?.throwIfAborted();
    await pauses.pause();
    // Refreshes the access token, or reports the end of the session.
    await client.fetch('/v1/auth/whoami', { signal }).catch(unlessEnded(signal));
  }
}

const watched = new WeakMap<object, Promise<void>>();

/**
 * Notices at once that the session has ended, also while the page makes no call: the client then calls
 * `onSessionEnded`. Call it for each session that begins; a client that is watched already is not watched twice.
 *
 * Browsers allow six connections to a host over HTTP/1.1. So with cookies one tab reads the stream of the server, and
 * the client tells the others.
 *
 * ```ts
 * const api = createClient({ transport: 'cookie', onSessionBegun: () => watchSession(api), onSessionEnded });
 * ```
 * @returns a promise that resolves when the session has ended, the server refuses the stream, or `signal` aborts
 */
export function watchSession(
  client: Pick<Client, 'fetch' | 'transport'>,
  { locks = platformLocks(), ...options }: WatchOptions = {},
): Promise<void> {
  const read = async () => {
    try {
      for await (const _ of streamEvents(client, '/v1/sessions/current/events', options));
    } catch {
      // The client has told the app that the session has ended; or there is nothing to watch.
    }
  };
  const isShared = client.transport === 'cookie' && locks;
  const begin = () =>
    isShared
      ? locks.request(`${PRODUCT} session events`, { signal: options.signal }, read).catch(() => undefined)
      : read();
  const watching = watched.get(client) ?? begin().finally(() => watched.delete(client));
  watched.set(client, watching);
  return watching;
}

/** The messages of one connection, until it closes. */
async function* messagesOf(socket: WebSocket, onOpen: () => void): AsyncGenerator<unknown> {
  const arrived = new ReadableStream<unknown>({
    start(messages) {
      socket.addEventListener('open', onOpen);
      socket.addEventListener('message', ({ data }) => messages.enqueue(parseJson(String(data))));
      socket.addEventListener('close', () => messages.close());
    },
  }).getReader();
  try {
    for (let next = await arrived.read(); !next.done; next = await arrived.read()) yield next.value;
  } finally {
    socket.close();
  }
}

class Pauses {
  failures = 0;
  private readonly patience: Patience;

  constructor(
    time: Time,
    private readonly signal?: AbortSignal,
  ) {
    // oxlint-disable-next-line no-restricted-properties -- spreads connections, keeps no secret
    this.patience = new Patience(time, () => Math.random());
  }

  async pause(): Promise<void> {
    this.failures = Math.min(this.failures + 1, MAX_FAILURES);
    await this.patience.pause(this.failures, 0, this.signal);
  }
}

/** A refusal that another try would not change. */
const isRefusal = ({ ok, status }: Response): boolean => !ok && status !== 429 && status < 500;

/** A stream waits for the network and for the server, but not for a session that has ended. */
function unlessEnded(signal: AbortSignal | undefined): (error: unknown) => null {
  return (error) => {
    if (error instanceof SessionEnded || signal?.aborted) throw error;
    return null;
  };
}
