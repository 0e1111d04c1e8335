import type { Backlog } from './backlog.js';
import type { Jobs } from './jobs.js';

const INTERVAL_MS = 1_000;

/**
 * Works off a table of tasks on every instance. Each second it handles the rows that are due, batch by batch, until a
 * batch is not full. The subclass claims rows with `for update skip locked`, so that instances share the work, and
 * postpones a row that fails, so that it delays no other.
 */
export abstract class QueueWorker {
  constructor(
    jobs: Jobs,
    name: string,
    private readonly batch: number,
  ) {
    jobs.every({ name, interval: INTERVAL_MS, scope: 'instance', run: () => this.run() });
    jobs.watchQueue(name, () => this.backlog());
  }

  /**
   * Handles all rows that are due.
   * @returns how many are done
   */
  async run(): Promise<number> {
    let done = 0;
    for (let claimed = this.batch; claimed === this.batch;) {
      const results = await this.handleBatch();
      claimed = results.length;
      done += results.filter(Boolean).length;
    }
    return done;
  }

  /** The tasks that wait, also those that were postponed. Metrics show it. */
  protected abstract backlog(): Promise<Backlog>;

  /**
   * Claims a batch at most, and handles each row.
   * @returns for each claimed row whether it is done
   */
  protected abstract handleBatch(): Promise<boolean[]>;
}
