import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { SystemClock } from '../runtime/clock.js';
import { UserTransactions } from './user-transactions.js';

const LOCKED = Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' });

describe('Transactions of one user', () => {
  const database = { options: { poolSize: 10 } } as unknown as DataSource;
  let transactions: UserTransactions;

  beforeEach(() => {
    jest.useFakeTimers();
    transactions = new UserTransactions(database, new SystemClock());
  });
  afterEach(() => void jest.useRealTimers());

  const never = () => new Promise<never>(() => undefined);
  const remembered = () => (transactions as unknown as { turns: Map<string, unknown> }).turns.size;

  it('Transactions of one user run two at a time, those of another user run in parallel, and ended ones leave no memory', async () => {
    const open: (() => void)[] = [];
    const work = () => new Promise<void>((done) => open.push(done));
    const all = Array.from({ length: 5 }, () => transactions.attempt('alice', work));
    await jest.advanceTimersByTimeAsync(0);
    expect(open).toHaveLength(2);
    await transactions.attempt('bob', async () => undefined);
    for (let served = 1; served <= 5; served++) {
      open[served - 1]!();
      await jest.advanceTimersByTimeAsync(0);
      expect(open).toHaveLength(Math.min(5, served + 2));
    }
    await Promise.all(all);
    expect(remembered()).toBe(0);
  });

  it('A transaction that waits 10 s for its turn is given up and does not run later', async () => {
    for (let count = 0; count < 2; count++) void transactions.attempt('alice', never);
    const work = jest.fn(async () => undefined);
    const waiting = transactions.attempt('alice', work).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(await waiting).toMatchObject({ status: 503 });
    expect(work).not.toHaveBeenCalled();
  });

  it('A transaction runs again while a lock is not free, and fails after 5 s', async () => {
    const work = jest.fn<() => Promise<string>>().mockRejectedValueOnce(LOCKED).mockResolvedValue('done');
    const done = transactions.attempt('alice', work);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await done).toBe('done');
    expect(work).toHaveBeenCalledTimes(2);

    const refused = transactions
      .attempt('alice', () => Promise.reject(LOCKED))
      .catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(6_000);
    expect(await refused).toBe(LOCKED);
    expect(remembered()).toBe(0);
  });

  it('A transaction does not run again after any other error', async () => {
    const work = jest.fn<() => Promise<void>>().mockRejectedValue(new Error('no'));
    await expect(transactions.attempt('alice', work)).rejects.toThrow('no');
    expect(work).toHaveBeenCalledTimes(1);
  });
});
