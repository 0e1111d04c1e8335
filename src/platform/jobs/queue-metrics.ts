import type { Gauge } from 'prom-client';
import type { Metrics } from '../metrics/metrics.js';
import { withTimeout } from '../runtime/with-timeout.js';
import type { Backlog } from './backlog.js';

/** A database that is slower delays no metrics: the queue then has no sample. */
const TIMEOUT_MS = 1_000;

/** The metrics of the queues. When metrics are requested, each queue is read once for both of them. */
export class QueueMetrics {
  private readonly queues = new Map<string, () => Promise<Backlog>>();
  private reading: Promise<void> | null = null;
  private readonly tasks: Gauge<'queue'>;
  private readonly age: Gauge<'queue'>;

  constructor(metrics: Metrics) {
    const collect = () => this.read();
    this.tasks = metrics.gauge({
      name: 'queue_tasks',
      help: 'Tasks that wait in a queue of the database, up to 1,000. Every instance shows the same queues.',
      labelNames: ['queue'],
      collect,
    });
    this.age = metrics.gauge({
      name: 'queue_oldest_task_age_seconds',
      help: 'Age of the oldest task that waits in a queue of the database, 0 if none waits.',
      labelNames: ['queue'],
      collect,
    });
  }

  watch(queue: string, backlog: () => Promise<Backlog>): void {
    this.queues.set(queue, backlog);
  }

  private read(): Promise<void> {
    this.reading ??= this.readAll().finally(() => (this.reading = null));
    return this.reading;
  }

  private async readAll(): Promise<void> {
    const read = async ([queue, backlog]: [string, () => Promise<Backlog>]) => {
      const found = await withTimeout(TIMEOUT_MS, backlog()).catch(() => null);
      if (!found) {
        this.tasks.remove({ queue });
        this.age.remove({ queue });
        return;
      }
      this.tasks.set({ queue }, found.count);
      this.age.set({ queue }, found.age / 1_000);
    };
    await Promise.all([...this.queues].map(read));
  }
}
