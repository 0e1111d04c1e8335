import { describe, expect, it } from '@jest/globals';
import { InstanceBoard } from './instance-board.js';
import type { InstanceReport } from './live.schemas.js';

/** Pure: the reports and the time are the test's. */

const report = (id: string, changes: Partial<InstanceReport> = {}): InstanceReport => ({
  id,
  name: 'host',
  startedAt: 0,
  isBlind: false,
  feedAgeMs: 0,
  connections: 0,
  followerCount: 0,
  followers: [],
  counters: { logins: 0, problems: {}, checks: { cache: 0, postgres: 0, unavailable: 0 } },
  ...changes,
});
const states = (board: InstanceBoard, now: number) => board.view(now).map(({ id, state }) => [id, state]);

describe('the board of instances', () => {
  it('shows the last report of each instance, the oldest instance first', () => {
    const board = new InstanceBoard();
    board.take(report('b', { startedAt: 2 }), 0);
    board.take(report('a', { startedAt: 1, connections: 1 }), 0);
    board.take(report('a', { startedAt: 1, connections: 2 }), 1);
    expect(board.view(1)).toMatchObject([{ id: 'a', connections: 2 }, { id: 'b' }]);
  });

  it('marks an instance that says that it is blind, until it says otherwise', () => {
    const board = new InstanceBoard();
    board.take(report('a', { isBlind: true }), 0);
    expect(states(board, 0)).toEqual([['a', 'blind']]);
    board.take(report('a'), 1_000);
    expect(states(board, 1_000)).toEqual([['a', 'current']]);
  });

  it('marks an instance as silent after 4 s without a report, blind or not', () => {
    const board = new InstanceBoard();
    board.take(report('a', { isBlind: true }), 0);
    expect(states(board, 4_000)).toEqual([['a', 'blind']]);
    expect(states(board, 4_001)).toEqual([['a', 'silent']]);
    board.take(report('a'), 5_000);
    expect(states(board, 5_000)).toEqual([['a', 'current']]);
  });

  it('forgets an instance after a minute without a report', () => {
    const board = new InstanceBoard();
    board.take(report('a'), 0);
    expect(states(board, 60_000)).toEqual([['a', 'silent']]);
    expect(states(board, 60_001)).toEqual([]);
  });

  it('shows 64 instances at most, and goes on with those that it has', () => {
    const board = new InstanceBoard();
    for (let count = 0; count < 70; count += 1) board.take(report(`i${count}`), 0);
    board.take(report('i0', { connections: 9 }), 1);
    board.take(report('i69', { connections: 9 }), 1);
    const view = board.view(1);
    expect(view).toHaveLength(64);
    expect(view.filter(({ connections }) => connections === 9).map(({ id }) => id)).toEqual(['i0']);
  });
});
