import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ACTIVITY, cellsOf, LIMITS, limitsInOrder, loadOf, SETTINGS, sessionsAt } from '../model/model.mjs';
import { simulate, type Plan } from '../model/feed-simulation.mjs';
import { BLOCKS, readPage } from '../model/page.mjs';
import { loadSettings } from '../../src/platform/settings/load-settings.js';

/**
 * Real: the constants of the code that the arithmetic follows. Modelled: everything else. The figures of
 * docs/evidence/scale.md are of this model, whose inputs were measured by `npm run bench -- sizing`.
 */

const SECOND = 1_000;
const DAY = 86_400 * SECOND;

describe('docs/evidence/scale.md', () => {
  it('matches the output of its command (`npm run scale:model -- --write`)', () => {
    const made = execFileSync(process.execPath, ['lab/model/main.mjs', '--page'], { encoding: 'utf8' });
    expect(made).toBe(readPage());
  });

  it('shows every table once', () => {
    for (const name of Object.keys(BLOCKS))
      expect(readPage().split(`<!-- scale:${name} -->`)).toHaveLength(2);
  });
});

describe('the model of a load', () => {
  it('follows the settings', () => {
    const settings = loadSettings({});
    expect(SETTINGS).toMatchObject({
      accessTokenTtl: settings.accessTokenTtl / SECOND,
      cacheLease: settings.cacheLease / SECOND,
      lastSeenResolution: settings.lastSeenResolution / SECOND,
      sessionRetentionDays: settings.sessionRetention / DAY,
      databasePoolSize: settings.databasePoolSize,
    });
  });

  it.each([
    ['platform/persistence/database.module.ts', `const CHECK_CONNECTIONS = ${SETTINGS.checkPool};`],
    ['platform/persistence/revocation-database.ts', `const CONNECTIONS = ${SETTINGS.revocationPool};`],
    ['sessions/check/last-seen.service.ts', 'MAX_FLUSH_INTERVAL_MS = 10_000;'],
    ['sessions/cleanup/session-cleanup.job.ts', 'INTERVAL_MS = 10 * 60_000;'],
    ['sessions/revocation/revocation-writer.ts', 'TOKENS_DEAD_AFTER_MS = 15 * 60_000 + 60_000;'],
    ['sessions/revocation/revocation-subscriber.ts', 'POLL_INTERVAL_MS = 1_000;'],
    ['sessions/revocation/revocation-subscriber.ts', 'BLIND_AFTER_MS = 5_000;'],
    ['sessions/revocation/revocation-subscriber.ts', 'ANSWER_TIMEOUT_MS = 2_000;'],
    ['sessions/revocation/receipt.ts', 'MAX_COUNTED = 10_000;'],
    ['platform/audit/audit-chain.job.ts', 'INTERVAL_MS = 10_000;'],
    ['platform/audit/audit-chain.repository.ts', 'MAX_LINKED = 10_000;'],
    ['platform/audit/audit-chain.repository.ts', 'FINAL_AFTER_MINUTES = 10;'],
  ])('uses a constant of %s: %s', (file, text) => {
    expect(readFileSync(`src/${file}`, 'utf8')).toContain(text);
  });

  it('grows with the sessions, and no faster where the number of users decides', () => {
    const [one, ten] = [loadOf(1e7), loadOf(1e8)];
    for (const what of ['requests', 'refreshes', 'reads', 'marks', 'storage', 'records', 'redisBytes'])
      expect(ten[what]! / one[what]!).toBeCloseTo(10, 1);
    expect(ten.instances! / one.instances!).toBeLessThanOrEqual(10);
    // The work of one instance for all grows with the work, not with the number of instances.
    expect(ten.housekeepingCpu! / one.housekeepingCpu!).toBeCloseTo(10);
    expect(ten.sealCpu! / one.sealCpu!).toBeCloseTo(10);
    expect(ten.countSeconds).toBe(one.countSeconds);
    // The work of every instance at every end is the product of both.
    expect(ten.polls! / one.polls!).toBeGreaterThan(50);
  });

  it('has one refresh for each visit, and one more for each token lifetime of a visit', () => {
    const refreshes = (activity: object) => loadOf(1e6, activity).refreshes! / loadOf(1e6).refreshes!;
    expect(refreshes({ visits: 2 * ACTIVITY.visits })).toBeCloseTo(2);
    expect(refreshes({ visitSeconds: 1_620 })).toBeCloseTo(2);
    expect(refreshes({ visitSeconds: 60 })).toBeCloseTo(1);
  });

  it('uses a cached session for a lease and no longer: two requests in a lease need half the reads', () => {
    // One check each 30 s on average: a read, a lease of 30 s, 30 s until the next one.
    const { hitShare, checks, reads } = loadOf(1e6, {
      requestsPerVisit: 10,
      sessionShare: 1,
      strictShare: 0,
      visitSeconds: 300,
    });
    expect(hitShare).toBeCloseTo(0.5);
    expect(reads).toBeCloseTo(checks! / 2);
    expect(loadOf(1e6, {}, { cacheLease: 1 }).reads).toBeGreaterThan(loadOf(1e6).reads!);
  });

  it('writes one mark for a visit with a single request, and at most one per resolution', () => {
    const visits = (1e6 * ACTIVITY.activeInPeakHour * ACTIVITY.visits) / 3_600;
    expect(loadOf(1e6, { requestsPerVisit: 0.001 }).marks! / visits).toBeLessThan(0.002);
    const busy = loadOf(1e6, { requestsPerVisit: 1e6, visitSeconds: 600 });
    expect(busy.marks! / visits).toBeCloseTo(600 / SETTINGS.lastSeenResolution, 1);
  });

  it('never writes more page images than there are pages', () => {
    const { images, sessionRows, users } = loadOf(1e5, { activeInPeakHour: 1, visits: 100 });
    expect(images).toBeLessThan((sessionRows! * 631 + users! * 401) / SETTINGS.page + 1_000);
  });

  it('finds the number of sessions at which a limit is reached', () => {
    for (const limit of LIMITS) {
      const sessions = sessionsAt(limit);
      expect(limit.of(loadOf(sessions * 1.01))).toBeGreaterThanOrEqual(limit.limit);
      expect(limit.of(loadOf(sessions * 0.97))).toBeLessThan(limit.limit);
    }
    expect(sessionsAt({ ...LIMITS[0]!, limit: 1e12 })).toBe(Infinity);
    const order = limitsInOrder().map(({ sessions }) => sessions);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('distributes sessions to cells that stay below every limit with that remedy', () => {
    const { cells, each } = cellsOf(1e9, 25e6);
    expect(cells * each.sessions!).toBeCloseTo(1e9);
    expect(each.connections).toBeLessThan(500);
    expect(each.housekeepingCpu).toBeLessThan(1);
    expect(each.sealSeconds).toBeLessThan(1);
    expect(each.databaseCpu).toBeLessThan(8);
  });
});

describe('the simulated feed', () => {
  const plans: [string, Plan][] = [
    ['two instances', { instances: 2, rate: 20, seconds: 5 }],
    ['more load than the cores of PostgreSQL', { instances: 300, rate: 200, seconds: 0.5, cores: 1 }],
    ['a burst that queues for its commits', { instances: 5, rate: 10_000, seconds: 0.1 }],
    ['lost notifications', { instances: 20, rate: 50, seconds: 2, lost: 0.5 }],
    ['no notifications', { instances: 20, rate: 50, seconds: 2, path: 'poll' }],
    [
      'instances that are cut off',
      { instances: 20, rate: 20, seconds: 10, cut: { share: 0.5, from: 1_000, to: 8_500 } },
    ],
    ['five regions', { instances: 25, regions: 5, rate: 50, seconds: 2 }],
    ['relays', { instances: 25, regions: 5, rate: 50, seconds: 2, path: 'relay' }],
    [
      'relays with lost messages',
      { instances: 25, regions: 3, rate: 50, seconds: 2, path: 'relay', lost: 0.5 },
    ],
    [
      'relays that are cut off',
      {
        instances: 9,
        regions: 3,
        rate: 20,
        seconds: 10,
        path: 'relay',
        cut: { share: 0.7, from: 1_000, to: 8_500 },
      },
    ],
  ];

  it.each(plans)(
    'loses no revocation, and no instance claims to be current without being so: %s',
    (_, plan) => {
      for (const seed of [1, 2, 3, 4, 5]) {
        const { revocations, wanted, applied, lies, late, blindMs } = simulate({ ...plan, seed });
        expect(wanted).toBe(revocations * plan.instances);
        expect(applied).toBe(wanted);
        expect(lies).toBe(0);
        // Only an instance that was blind by then is later than 5 s.
        if (late > 0) expect(blindMs).toBeGreaterThan(0);
      }
    },
  );

  it('is the same for the same seed, and another for another', () => {
    const plan: Plan = { instances: 10, rate: 50, seconds: 1, lost: 0.1 };
    expect(simulate({ ...plan, seed: 7 })).toEqual(simulate({ ...plan, seed: 7 }));
    expect(simulate({ ...plan, seed: 7 })).not.toEqual(simulate({ ...plan, seed: 8 }));
  });

  it('reproduces the measurement with two instances: p50 1.5, p99 5.0, max 7.4 ms', () => {
    const { p50, p99, max } = simulate({
      instances: 2,
      rate: 5,
      seconds: 200,
      away: 0.05,
      cores: 2,
      seed: 3,
    });
    expect(p50).toBeGreaterThan(1.2);
    expect(p50).toBeLessThan(1.8);
    expect(p99).toBeGreaterThan(3.5);
    expect(p99).toBeLessThan(6);
    expect(max).toBeLessThan(12);
  });

  it('bounds a lost notification by the poll of the next second', () => {
    const { max, p50 } = simulate({ instances: 20, rate: 50, seconds: 3, path: 'poll' });
    expect(max).toBeLessThan(1_100);
    expect(p50).toBeGreaterThan(400);
  });

  it('serialises commits that notify: a thousand a second at any load', () => {
    const plan: Plan = { instances: 2, rate: 5_000, seconds: 0.5 };
    expect(simulate(plan).committedPerSecond).toBeLessThan(1_050);
    expect(simulate({ ...plan, path: 'poll' }).committedPerSecond).toBeGreaterThan(4_000);
  });

  it('would lose revocations with sequence values as the cursor, as decision 4 says', () => {
    const { applied, wanted } = simulate({ instances: 5, rate: 400, seconds: 1, cursor: 'seq' });
    expect(applied).toBeLessThan(wanted);
  });

  it('would be wrong if instances accepted the news of a dispatcher that is cut off itself', () => {
    const cut = { share: 1, from: 1_000, to: 8_500 };
    const plan: Plan = { instances: 10, rate: 20, seconds: 10, path: 'relay', cut };
    expect(simulate({ ...plan, proof: 'own' }).lies).toBeGreaterThan(0);
  });
});
