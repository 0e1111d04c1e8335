import { ApiProblem, SessionEnded, type Client, type Profile, type Session } from '@drawbridge/client';
import { streamEvents } from '@drawbridge/client/streams';
import { api, changesDone, onSessionEnded, request } from './api.js';
import { configuration } from './configuration.js';
import { Store } from './store.js';

/** The state of the login of this browser. */
export type SessionState =
  | { kind: 'loading' }
  | { kind: 'unreachable'; error: unknown }
  /** `ended`: why the session of this page ended; absent if the page had none. */
  | { kind: 'signed-out'; ended?: { reason: string; endedAt?: string } }
  /** The session can do nothing but enrol or verify a second factor (`ADMIN_MFA`). */
  | { kind: 'needs-second-factor' }
  | { kind: 'signed-in'; user: Profile; session: Session };

export const sessionState = new Store<SessionState>({
  kind: configuration.hasCookies ? 'loading' : 'signed-out',
});

/** Asks the server for the user and the session of this browser. */
export async function loadSession(): Promise<void> {
  try {
    const [user, session] = await Promise.all([
      request('GET /v1/users/me'),
      request('GET /v1/sessions/current'),
    ]);
    sessionState.set({ kind: 'signed-in', user, session });
    void watchSession();
  } catch (error) {
    sessionState.set(stateAfter(error));
  }
}

function stateAfter(error: unknown): SessionState {
  if (error instanceof SessionEnded) return { kind: 'signed-out', ended: api.ended ?? error };
  if (!(error instanceof ApiProblem)) return { kind: 'unreachable', error };
  if (error.status === 401) return { kind: 'signed-out' };
  if (error.code === 'auth.second_factor_required') return { kind: 'needs-second-factor' };
  return { kind: 'unreachable', error };
}

onSessionEnded(({ reason, endedAt }) => {
  if (sessionState.value.kind !== 'signed-out')
    sessionState.set({ kind: 'signed-out', ended: { reason, endedAt } });
});

const tabs = new BroadcastChannel('console');

/** Call it after a login. The other tabs of the browser leave their sign-in page as well. */
export async function signedIn(): Promise<void> {
  await loadSession();
  tabs.postMessage('signed in'); // oxlint-disable-line unicorn/require-post-message-target-origin -- a channel has none
}

tabs.addEventListener('message', () => {
  if (sessionState.value.kind === 'signed-out') void loadSession();
});

let isWatching = false;

/**
 * Learns at once that the session has ended, also when nothing is clicked. Browsers allow six connections to a host
 * over HTTP/1.1, so one tab reads the stream for all: the client tells the other tabs.
 */
async function watchSession(): Promise<void> {
  if (isWatching) return;
  isWatching = true;
  await (navigator.locks ? navigator.locks.request('console: session events', readEvents) : readEvents());
  isWatching = false;
}

const stream: Pick<Client, 'fetch'> = {
  fetch: async (...call) => {
    await changesDone();
    return api.fetch(...call);
  },
};

async function readEvents(): Promise<void> {
  try {
    for await (const _ of streamEvents(stream, '/v1/sessions/current/events'));
  } catch {
    // The session has ended, and `onSessionEnded` has been called; or the server refuses the stream.
  }
}
