import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { PRODUCT } from '../../product.js';
import { Metrics } from '../metrics/metrics.js';
import { Jobs } from './jobs.js';
import type { ScheduledJobRepository } from './scheduled-job.repository.js';

/** Simulated: timers, and the table of claims. `lab/specs/scheduled-jobs.spec.ts` uses the real table. */

let lines: { level: number; msg: string; job: string }[];
let metrics: Metrics;
let jobs: Jobs;
const claim = jest.fn<ScheduledJobRepository['claim']>();

beforeEach(() => {
  jest.useFakeTimers();
  lines = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  metrics = new Metrics();
  claim.mockReset().mockResolvedValue(true);
  jobs = new Jobs({ claim } as unknown as ScheduledJobRepository, logger, metrics);
});
afterEach(() => {
  jobs.stop();
  jest.useRealTimers();
});

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const work = () => jest.fn(async () => undefined);

describe('a background job', () => {
  it('runs one interval after boot, again after each interval, and not after shutdown has begun', async () => {
    const run = work();
    jobs.every({ name: 'sweep', interval: '10s', scope: 'instance', run });
    await pass(60_000);
    expect(run).not.toHaveBeenCalled();
    jobs.onApplicationBootstrap();
    await pass(9_999);
    expect(run).not.toHaveBeenCalled();
    await pass(1);
    expect(run).toHaveBeenCalledTimes(1);
    await pass(20_000);
    expect(run).toHaveBeenCalledTimes(3);
    jobs.beforeApplicationShutdown();
    await pass(60_000);
    expect(run).toHaveBeenCalledTimes(3);
    expect(claim).not.toHaveBeenCalled();
  });

  it('of the cluster runs only when this instance gets the claim for the interval', async () => {
    const run = work();
    jobs.every({ name: 'sweep', interval: 10_000, run });
    jobs.onApplicationBootstrap();
    claim.mockResolvedValueOnce(false);
    await pass(10_000);
    expect(run).not.toHaveBeenCalled();
    await pass(10_000);
    expect(run).toHaveBeenCalledTimes(1);
    expect(claim.mock.calls).toEqual([
      ['sweep', 9_000],
      ['sweep', 9_000],
    ]);
  });

  it('that is declared after boot starts at once', async () => {
    jobs.onApplicationBootstrap();
    const run = work();
    jobs.every({ name: 'sweep', interval: '1s', run });
    await pass(1_000);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('that fails is counted, named in the log, warned of once for a row of failures, and runs again', async () => {
    const run = work().mockRejectedValueOnce(new Error('first')).mockRejectedValueOnce(new Error('second'));
    jobs.every({ name: 'sweep', interval: '1s', run });
    jobs.onApplicationBootstrap();
    await pass(4_000);
    expect(run).toHaveBeenCalledTimes(4);
    expect(lines).toMatchObject([
      { level: 40, msg: 'a background job failed', job: 'sweep', err: { message: 'first' } },
      { level: 20, msg: 'a background job failed', job: 'sweep', err: { message: 'second' } },
      { level: 30, msg: 'a background job works again', job: 'sweep' },
    ]);
    expect(await metrics.registry.metrics()).toContain(
      `${PRODUCT.metricPrefix}background_job_failures_total{name="sweep"} 2\n`,
    );
  });

  it('that shutdown interrupts causes no warning', async () => {
    let fail: (error: Error) => void;
    const run = () => new Promise((_, reject) => (fail = reject));
    jobs.every({ name: 'sweep', interval: '1s', run });
    jobs.onApplicationBootstrap();
    await pass(1_000);
    jobs.beforeApplicationShutdown();
    fail!(new Error('the pool has ended'));
    await pass(1_000);
    expect(lines).toMatchObject([{ level: 20, msg: 'a background job failed' }]);
  });

  it('is refused when another job has its name', () => {
    jobs.every({ name: 'sweep', interval: '1s', run: work() });
    expect(() => jobs.every({ name: 'sweep', interval: '5s', run: work() })).toThrow(
      'two background jobs have the name "sweep": choose another name',
    );
  });

  it('that does not exist can be neither started nor stopped', () => {
    expect(() => jobs.start('sweep')).toThrow('no background job has the name "sweep"');
    expect(() => jobs.stop('sweep')).toThrow('no background job has the name "sweep"');
  });
});
