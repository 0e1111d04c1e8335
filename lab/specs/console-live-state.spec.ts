import { describe, expect, it } from '@jest/globals';
import type {
  Arrival,
  LiveInstance,
  RevocationSeen,
} from '../../packages/console/src/pages/live/live-events.js';
import {
  changed,
  INITIAL,
  progressOf,
  WINDOW_MS,
  type Change,
  type LiveState,
} from '../../packages/console/src/pages/live/live-state.js';

const instance = (id: string, wanted: Partial<LiveInstance> = {}): LiveInstance => ({
  id,
  name: id,
  startedAt: 0,
  state: 'current',
  feedAgeMs: 0,
  connections: 0,
  followerCount: 0,
  followers: [],
  counters: { logins: 0, problems: {} },
  ...wanted,
});
const counting = (id: string, logins: number, problems: Record<string, number> = {}) =>
  instance(id, { counters: { logins, problems } });

const report = (...instances: LiveInstance[]): Change => ({ type: 'instances', data: { instances } });
const revoked = (seq: number, dropped = 0): Change => {
  const seen: RevocationSeen = { seq, kind: 'session', reason: 'admin', at: 0 };
  return { type: 'revocations', data: { revocations: [seen], dropped } };
};
const arrivedAt = (seq: number, lane: string, delayMs = 3): Change => {
  const arrival: Arrival = { seq, lane, delayMs, errorMs: 1 };
  return { type: 'arrivals', data: { arrivals: [arrival], dropped: 0 } };
};
const after = (changes: Change[], before: LiveState = INITIAL, now = 0): LiveState =>
  changes.reduce((state, change) => changed(state, change, now), before);
const newest = ({ revocations }: LiveState) => revocations[0]!;

describe('the state of the page "Live"', () => {
  it('waits for a revocation on each lane that was there before it, and on no later one', () => {
    const b = instance('b', { followers: [{ id: 'verifier', name: 'v' }], followerCount: 1 });
    const state = after([report(instance('a'), b), revoked(7), report(instance('a'), b, instance('late'))]);
    expect(newest(state).pending).toEqual(['a', 'b', 'verifier']);
    const reached = after([arrivedAt(7, 'b', 9), arrivedAt(7, 'verifier', 4)], state);
    expect(newest(reached).pending).toEqual(['a']);
    expect(progressOf(newest(reached))).toMatchObject({ reached: 2, lanes: 3, slowest: { delayMs: 9 } });
  });

  it('takes an arrival that comes before the event of its revocation', () => {
    const state = after([report(instance('a')), arrivedAt(7, 'a'), revoked(7)]);
    expect(newest(state)).toMatchObject({ pending: [], arrivals: [{ lane: 'a' }] });
    expect(state.early).toEqual([]);
  });

  it('waits no more for a lane that is gone', () => {
    const state = after([report(instance('a'), instance('b')), revoked(7), report(instance('a'))]);
    expect(newest(state).pending).toEqual(['a']);
  });

  it('waits for no arrival that the connection may have missed', () => {
    const state = after([report(instance('a')), revoked(7), { type: 'disconnected' }], INITIAL, 5);
    expect(newest(state).pending).toEqual([]);
    expect(state.lostAt).toBe(5);
    expect(after([{ type: 'disconnected' }], state, 9).lostAt).toBe(5);
    expect(after([{ type: 'connected' }], state, 9).lostAt).toBeNull();
  });

  it('keeps the last 50 revocations, 400 early arrivals and a minute of samples', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => index);
    const state = after(many.flatMap((seq) => [revoked(seq), arrivedAt(seq + 10_000, 'a')]));
    expect(state.revocations.map(({ seq }) => seq)).toEqual(many.slice(-50).reverse());
    expect(state.early).toHaveLength(400);
    const later = many.reduce(
      (state, second) => changed(state, report(instance('a')), second * 1_000),
      INITIAL,
    );
    expect(later.samples).toHaveLength(WINDOW_MS / 1_000 + 1);
  });

  it('knows when the server has left something out', () => {
    expect(after([revoked(1)], INITIAL, 5).droppedAt).toBeNull();
    expect(after([revoked(1, 3)], INITIAL, 5).droppedAt).toBe(5);
  });

  it('adds what all instances did between two reports', () => {
    const state = after([
      report(counting('a', 10, { busy: 2 }), counting('b', 5)),
      report(counting('a', 12, { busy: 2 }), counting('b', 6, { denied: 4 })),
    ]);
    expect(state.samples.at(-1)).toMatchObject({ logins: 3, problems: { denied: 4 } });
  });

  it('does not take the counters of a new instance, or those after a gap, for what has just happened', () => {
    const state = after([report(counting('a', 10)), report(counting('a', 10), counting('b', 500))]);
    expect(state.samples.at(-1)).toMatchObject({ logins: 0 });
    const gap = after([{ type: 'disconnected' }, { type: 'connected' }, report(counting('a', 300))], state);
    expect(gap.samples.at(-1)).toMatchObject({ logins: 0 });
    expect(after([report(counting('a', 301))], gap).samples.at(-1)).toMatchObject({ logins: 1 });
  });
});
