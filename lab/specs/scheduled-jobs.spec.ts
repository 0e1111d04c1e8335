import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AuditChainJob } from '../../src/platform/audit/audit-chain.job.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { ScheduledJobRepository } from '../../src/platform/jobs/scheduled-job.repository.js';
import { SessionCleanupJob } from '../../src/sessions/cleanup/session-cleanup.job.js';
import { holdBackgroundWork, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { StoppedClock } from '../../test/support/clock.js';

/** Real: PostgreSQL, two instances. Simulated: the time and the timers. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let clock: StoppedClock;
let a: TestApp;
let b: TestApp;

beforeAll(async () => {
  await resetStores();
  clock = new StoppedClock();
  [a, b] = [await startApp({ clock }), await startApp({ clock })];
  for (const app of [a, b]) holdBackgroundWork(app);
});
afterAll(() => Promise.all([a.close(), b.close()]));
beforeEach(() => a.query('delete from scheduled_jobs'));
afterEach(() => {
  jest.restoreAllMocks();
});

const turn = (app: TestApp, run: () => Promise<unknown>) =>
  app.get(Jobs).turn({ name: 'sweep', interval: '10s', run });
const claim = (app: TestApp, name = 'sweep') => app.get(ScheduledJobRepository).claim(name, 10 * SECOND);

describe('a scheduled job', () => {
  it('is claimed by one instance, and by any instance again after an interval', async () => {
    expect(await claim(a)).toBe(true);
    expect(await claim(b)).toBe(false);
    expect(await claim(a)).toBe(false);
    clock.advance(10 * SECOND);
    expect(await claim(b)).toBe(false);
    clock.advance(1);
    expect(await claim(b)).toBe(true);
    expect(await claim(a)).toBe(false);
  });

  it('is claimed once, however many instances try at the same time, for the first time and later', async () => {
    for (const _ of ['first', 'later']) {
      const claims = await Promise.all(Array.from({ length: 20 }, (_, turn) => claim(turn % 2 ? a : b)));
      expect(claims.filter(Boolean)).toHaveLength(1);
      clock.advance(11 * SECOND);
    }
  });

  it('is independent of other jobs', async () => {
    expect(await claim(a, 'sweep')).toBe(true);
    expect(await claim(b, 'dust')).toBe(true);
  });

  it('whose claimer has died is done by another instance after an interval', async () => {
    const [died, done] = [jest.fn(() => Promise.reject(new Error('killed'))), jest.fn(async () => undefined)];
    await expect(turn(a, died)).rejects.toThrow('killed');
    await turn(b, done);
    expect(done).not.toHaveBeenCalled();
    clock.advance(10 * SECOND);
    await turn(b, done);
    expect(done).toHaveBeenCalledTimes(1);
  });

  it('is not skipped by a lone instance whose timer fires a little early', async () => {
    const work = jest.fn(async () => undefined);
    for (let times = 1; times <= 5; times++) {
      await turn(a, work);
      expect(work).toHaveBeenCalledTimes(times);
      clock.advance(10 * SECOND - 50);
    }
  });

  it('is not stopped by a claim from the future, which a wrong clock or a manual change has written', async () => {
    for (const begunAt of [new Date(clock.now() + MINUTE), 'infinity']) {
      await a.query('delete from scheduled_jobs');
      await a.query('insert into scheduled_jobs values ($1, $2)', ['sweep', begunAt]);
      expect(await claim(a)).toBe(true);
      expect(await claim(b)).toBe(false);
    }
  });
});

describe.each([
  ['housekeeping', 'session-cleanup', SessionCleanupJob, 'run', 10 * MINUTE],
  ['an extension of the audit hash chain', 'audit-chain', AuditChainJob, 'link', 10 * SECOND],
] as const)('%s', (_, name, service, work, interval) => {
  /** The function that the timer of the job calls. */
  async function ring(app: TestApp): Promise<void> {
    const jobs = app.get(Jobs);
    let due: () => void;
    const timer = jest.spyOn(globalThis, 'setTimeout').mockImplementationOnce((callback) => {
      due = callback;
      return { unref: () => undefined } as unknown as NodeJS.Timeout;
    });
    jobs.start(name);
    expect(timer).toHaveBeenCalledWith(expect.anything(), interval);
    timer.mockRestore();
    const turn = jest.spyOn(jobs, 'turn');
    due!();
    await turn.mock.results[0]!.value;
    turn.mockRestore();
    jobs.stop(name);
  }

  const done = () => {
    const spies = [a, b].map((app) =>
      jest.spyOn(app.get<Record<typeof work, () => Promise<unknown>>>(service), work),
    );
    return () => spies.map((spy) => spy.mock.calls.length);
  };

  it('is done by one instance per interval', async () => {
    const times = done();
    await ring(a);
    await ring(b);
    expect(times()).toEqual([1, 0]);
    clock.advance(interval);
    await ring(b);
    await ring(a);
    expect(times()).toEqual([1, 1]);
  });

  it('is done whenever it is called directly, even if another instance has just done it', async () => {
    const times = done();
    await ring(a);
    for (const app of [a, b]) await app.get<Record<typeof work, () => Promise<unknown>>>(service)[work]();
    expect(times()).toEqual([2, 1]);
    await ring(b);
    expect(times()).toEqual([2, 1]);
  });
});
