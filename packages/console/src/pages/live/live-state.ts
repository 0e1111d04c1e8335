import type { Arrival, LiveEvents, LiveInstance, RevocationSeen, Totals } from './live-events.js';
import { activityBetween, type Activity } from './activity.js';

/** Lanes and charts show this much of the past. */
export const WINDOW_MS = 60_000;
const MAX_REVOCATIONS = 50;
/** An arrival may come before the event of its revocation. */
const MAX_EARLY_ARRIVALS = 400;

/** A revocation, and the lanes that it reaches. Times without another remark are `performance.now()`. */
export interface Revocation extends RevocationSeen {
  seenAt: number;
  /** The ids of the lanes that have not reported its arrival. */
  pending: string[];
  arrivals: Arrival[];
}

export interface Sample extends Activity {
  at: number;
  /** Undefined until the server has told it. */
  liveSessions?: number;
}

export interface LiveState {
  /** Since when there is no connection; null while there is one. */
  lostAt: number | null;
  /** Null until the first report. */
  instances: LiveInstance[] | null;
  /** The last ones, the newest first. */
  revocations: Revocation[];
  early: Arrival[];
  /** When the server last left something out. */
  droppedAt: number | null;
  totals: Totals | null;
  /** The activity between two reports. */
  samples: Sample[];
  /** The counters before the next sample; null after a gap, which no sample describes. */
  counted: LiveInstance[] | null;
}

export const INITIAL: LiveState = {
  lostAt: null,
  instances: null,
  revocations: [],
  early: [],
  droppedAt: null,
  totals: null,
  samples: [],
  counted: null,
};

export type Change =
  | { type: 'disconnected' | 'connected' }
  | { [Name in keyof LiveEvents]: { type: Name; data: LiveEvents[Name] } }[keyof LiveEvents];

/** The state after a change. It has a bounded size. */
export function changed(state: LiveState, change: Change, now: number): LiveState {
  switch (change.type) {
    case 'disconnected':
      return withoutConnection(state, now);
    case 'connected':
      return { ...state, lostAt: null };
    case 'instances':
      return withInstances(state, change.data.instances, now);
    case 'revocations':
      return change.data.revocations.reduce(
        (before, seen) => withRevocation(before, seen, now),
        noted(state, change.data, now),
      );
    case 'arrivals':
      return change.data.arrivals.reduce(withArrival, noted(state, change.data, now));
    case 'totals':
      return { ...state, totals: change.data };
  }
}

/** Arrivals during the gap are never known, so no lane is waited for. */
function withoutConnection(state: LiveState, now: number): LiveState {
  const revocations = state.revocations.map((revocation) => ({ ...revocation, pending: [] }));
  return { ...state, lostAt: state.lostAt ?? now, revocations, counted: null };
}

/** A lane that is gone reports no arrival any more. */
function withInstances(state: LiveState, instances: LiveInstance[], now: number): LiveState {
  const lanes = new Set(lanesOf(instances));
  const revocations = state.revocations.map((revocation) => ({
    ...revocation,
    pending: revocation.pending.filter((lane) => lanes.has(lane)),
  }));
  const sample = {
    at: now,
    liveSessions: state.totals?.liveSessions,
    ...activityBetween(state.counted, instances),
  };
  const samples = [...state.samples.filter(({ at }) => now - at <= WINDOW_MS), sample];
  return { ...state, instances, revocations, samples, counted: instances };
}

function withRevocation(state: LiveState, seen: RevocationSeen, now: number): LiveState {
  const arrivals = state.early.filter(({ seq }) => seq === seen.seq);
  const reached = arrivals.map(({ lane }) => lane);
  const pending = lanesOf(state.instances ?? []).filter((lane) => !reached.includes(lane));
  return {
    ...state,
    revocations: [{ ...seen, seenAt: now, pending, arrivals }, ...state.revocations].slice(
      0,
      MAX_REVOCATIONS,
    ),
    early: state.early.filter(({ seq }) => seq !== seen.seq),
  };
}

function withArrival(state: LiveState, arrival: Arrival): LiveState {
  if (!state.revocations.some(({ seq }) => seq === arrival.seq))
    return { ...state, early: [arrival, ...state.early].slice(0, MAX_EARLY_ARRIVALS) };
  const revocations = state.revocations.map((revocation) =>
    revocation.seq === arrival.seq
      ? {
          ...revocation,
          pending: revocation.pending.filter((lane) => lane !== arrival.lane),
          arrivals: [...revocation.arrivals, arrival],
        }
      : revocation,
  );
  return { ...state, revocations };
}

const noted = (state: LiveState, { dropped }: { dropped: number }, now: number): LiveState =>
  dropped > 0 ? { ...state, droppedAt: now } : state;

const lanesOf = (instances: LiveInstance[]): string[] =>
  instances.flatMap(({ id, followers }) => [id, ...followers.map((follower) => follower.id)]);

/** How far a revocation has come. `slowest`: the arrival with the greatest delay. */
export function progressOf({ arrivals, pending }: Revocation) {
  const slowest = arrivals.reduce<Arrival | null>(
    (slowest, arrival) => (slowest && slowest.delayMs >= arrival.delayMs ? slowest : arrival),
    null,
  );
  return { reached: arrivals.length, lanes: arrivals.length + pending.length, slowest };
}
