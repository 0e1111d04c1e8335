import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import type { Clock } from '../runtime/clock.js';
import { Problem } from '../api/problem.js';
import { isLockTimeout, poolSizeOf } from './lock-waits.js';

/**
 * Maximum waits of a request in ms: for its turn, which occupies no connection, and for its locks. After that the
 * answer is 503.
 */
const TURN_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;
/** Pause between two attempts in ms. While a user stays locked, each pause costs one short transaction. */
const [FIRST_PAUSE_MS, MAX_PAUSE_MS] = [25, 400];
/**
 * Maximum share of a pool for the transactions of one user: two of ten connections. More would not help, because they
 * wait for each other.
 */
const SHARE_OF_POOL = 1 / 5;
const MAX_AT_ONCE = 4;

/** The transactions of one user: those that run, and the starts of those that wait, in the order of their arrival. */
interface Turns {
  running: number;
  readonly waiting: Set<() => void>;
}

/** A transaction whose turn does not come in time is given up. */
function waitForTurn({ waiting }: Turns): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = () => {
      clearTimeout(timer);
      waiting.delete(start);
      resolve();
    };
    const timer = setTimeout(() => {
      waiting.delete(start);
      reject(new Problem('auth.unavailable'));
    }, TURN_TIMEOUT_MS);
    waiting.add(start);
  });
}

/**
 * Runs transactions that need the lock of one user. A lock that is held for long must not exhaust the pool:
 * - The transactions of one user take turns, a few at a time. The others wait without a connection.
 * - A transaction that cannot get its lock soon is rolled back and releases its connection. It runs again after a
 *   pause.
 *
 * So `work` may run more than once. It must have no effect outside of its transaction.
 */
export class UserTransactions {
  private readonly turns = new Map<string, Turns>();
  private readonly atOnce: number;

  constructor(
    private readonly database: DataSource,
    private readonly clock: Clock,
  ) {
    this.atOnce = Math.min(MAX_AT_ONCE, Math.max(1, Math.floor(poolSizeOf(database) * SHARE_OF_POOL)));
  }

  /** @throws Problem `auth.unavailable` if its turn did not come, or its locks were not free, in time */
  run<T>(userId: string, work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.attempt(userId, () => this.database.transaction(work));
  }

  /** As {@link run}, for a statement that is its own transaction. */
  async attempt<T>(userId: string, work: () => Promise<T>): Promise<T> {
    const turns = this.turnsOf(userId);
    if (turns.running < this.atOnce) turns.running++;
    else await waitForTurn(turns);
    try {
      return await this.untilFree(work);
    } finally {
      // The next transaction takes over the turn, so `running` stays as it is.
      const [next] = turns.waiting;
      if (next) next();
      else if (--turns.running === 0) this.turns.delete(userId);
    }
  }

  private turnsOf(userId: string): Turns {
    let turns = this.turns.get(userId);
    if (!turns) this.turns.set(userId, (turns = { running: 0, waiting: new Set() }));
    return turns;
  }

  private async untilFree<T>(work: () => Promise<T>): Promise<T> {
    const deadline = this.clock.monotonic() + LOCK_TIMEOUT_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        return await work();
      } catch (error) {
        if (!isLockTimeout(error) || this.clock.monotonic() >= deadline) throw error;
      }
      await sleep(pause);
    }
  }
}

/** As {@link UserTransactions}, but on separate connections, for transactions that end sessions. */
export class RevocationTransactions extends UserTransactions {}
