import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Counter } from 'prom-client';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import { BootError } from '../settings/boot-error.js';
import { milliseconds, type Duration } from '../settings/duration.js';
import { QueueMetrics } from './queue-metrics.js';
import type { Backlog } from './backlog.js';
import { repeat } from './repeat.js';
import { ScheduledJobRepository } from './scheduled-job.repository.js';

/**
 * Less than 1, because a timer may fire slightly early: with 1, a single instance would run a job only at every
 * second interval.
 */
const CLAIMED_SHARE_OF_INTERVAL = 0.9;

/** A background job: work that runs again and again, without a request. */
export interface Job {
  /** Unique. It names the job in the log, in metrics, and among the instances. */
  name: string;
  /** From the end of a run to the start of the next one. A number is in ms. */
  interval: Duration | number;
  run: () => Promise<unknown>;
  /** `cluster` (default): one instance runs the job in each interval. `instance`: every instance does. */
  scope?: 'cluster' | 'instance';
}

/**
 * Runs the background jobs. A class declares its job in its constructor. The first run is one interval after boot, and
 * no run begins after shutdown has begun.
 *
 * No lock is held while a job runs. If its instance dies, or if the job fails or takes longer than an interval, another
 * instance starts it again. A job must tolerate that.
 */
@Injectable()
export class Jobs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly declared = new Map<string, Job>();
  private readonly stops = new Map<string, () => void>();
  private readonly failing = new Set<string>();
  private readonly failures: Counter<'name'>;
  private readonly queues: QueueMetrics;
  private isRunning = false;

  constructor(
    private readonly scheduled: ScheduledJobRepository,
    @Inject(LOGGER) private readonly logger: Logger,
    metrics: Metrics,
  ) {
    this.failures = metrics.counter({
      name: 'background_job_failures_total',
      help: 'Runs of a background job that failed.',
      labelNames: ['name'],
    });
    this.queues = new QueueMetrics(metrics);
  }

  /** @throws BootError if another job has the name, or if the interval is no duration */
  every(job: Job): void {
    const { name } = job;
    if (this.declared.has(name))
      throw new BootError(`two background jobs have the name "${name}": choose another name`);
    requireInterval(job);
    this.declared.set(name, job);
    this.failures.inc({ name }, 0);
    if (this.isRunning) this.start(name);
  }

  /** Adds a queue of tasks to the metrics. */
  watchQueue(name: string, backlog: () => Promise<Backlog>): void {
    this.queues.watch(name, backlog);
  }

  onApplicationBootstrap(): void {
    this.isRunning = true;
    this.start();
  }

  beforeApplicationShutdown(): void {
    this.isRunning = false;
    this.stop();
  }

  /** Starts the named jobs, or all. For tests that have stopped them. */
  start(...names: string[]): void {
    this.stop(...names);
    for (const job of this.named(names)) {
      const failed = (error: unknown) => this.tellFailure(job.name, error);
      this.stops.set(
        job.name,
        repeat(intervalOf(job), () => this.turn(job), failed),
      );
    }
  }

  /** Stops the named jobs, or all. A run that has begun goes on. For tests that run a job themselves. */
  stop(...names: string[]): void {
    for (const { name } of this.named(names)) this.stops.get(name)?.();
  }

  /** Runs a job as its timer does: a job of the cluster only if no instance has started it within its interval. */
  async turn(job: Job): Promise<void> {
    if (job.scope !== 'instance' && !(await this.claim(job))) return;
    await job.run();
    if (this.failing.delete(job.name)) this.logger.info({ job: job.name }, 'a background job works again');
  }

  private claim(job: Job): Promise<boolean> {
    return this.scheduled.claim(job.name, intervalOf(job) * CLAIMED_SHARE_OF_INTERVAL);
  }

  /** Warns once for a row of failures. A job that shutdown interrupts gives no warning. */
  private tellFailure(name: string, error: unknown): void {
    const level = this.isRunning && !this.failing.has(name) ? 'warn' : 'debug';
    this.failing.add(name);
    this.failures.inc({ name });
    this.logger[level]({ err: error, job: name }, 'a background job failed');
  }

  private named(names: string[]): Job[] {
    if (names.length === 0) return [...this.declared.values()];
    return names.map((name) => {
      const job = this.declared.get(name);
      if (!job) throw new Error(`no background job has the name "${name}"`);
      return job;
    });
  }
}

function intervalOf({ interval }: Job): number {
  return typeof interval === 'number' ? interval : milliseconds(interval);
}

function requireInterval(job: Job): void {
  try {
    intervalOf(job);
  } catch (error) {
    throw new BootError(`the interval of the background job "${job.name}" ${(error as Error).message}`);
  }
}
