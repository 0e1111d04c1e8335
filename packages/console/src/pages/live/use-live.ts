import { SessionEnded } from '@drawbridge/client';
import { streamEvents } from '@drawbridge/client/streams';
import { useCallback, useEffect, useReducer, useState } from 'preact/hooks';
import { api } from '../../api.js';
import { changed, INITIAL, type Change, type LiveState } from './live-state.js';

/** The server sends a report each second. A connection that is silent for longer is broken. */
const MAX_SILENCE_MS = 5_000;
const EVENTS = ['instances', 'revocations', 'arrivals', 'totals'];

export interface Live {
  state: LiveState;
  /** Why the server refuses the stream. It is not read again until `retry()`. */
  error: unknown;
  retry(): void;
}

/** Reads the live view of all instances as long as the component is shown. */
export function useLive(): Live {
  const [state, apply] = useReducer(
    (state: LiveState, change: Change) => changed(state, change, performance.now()),
    INITIAL,
  );
  const [error, setError] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    readLive(abort.signal, apply).catch((reason: unknown) => {
      // After the end of the session, the page to sign in says why.
      if (!abort.signal.aborted && !(reason instanceof SessionEnded)) setError(reason);
    });
    return () => abort.abort();
  }, [attempt]);
  const retry = useCallback(() => {
    setError(undefined);
    setAttempt((attempt) => attempt + 1);
  }, []);
  return { state, error, retry };
}

async function readLive(signal: AbortSignal, apply: (change: Change) => void): Promise<void> {
  // Each request of the stream is a new connection, so the last one is over.
  const watched: Pick<typeof api, 'fetch'> = {
    async fetch(...request) {
      apply({ type: 'disconnected' });
      const response = await api.fetch(...request);
      if (response.ok) apply({ type: 'connected' });
      return response;
    },
  };
  for await (const { type, data } of streamEvents(watched, '/v1/admin/live', {
    signal,
    maxSilence: MAX_SILENCE_MS,
  }))
    if (EVENTS.includes(type)) apply({ type, data: JSON.parse(data) } as Change);
}

/** Renders the component again after each interval, and returns `performance.now()`. */
export function useNow(intervalMs: number): number {
  const [, render] = useState({});
  useEffect(() => {
    const timer = setInterval(() => render({}), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return performance.now();
}
