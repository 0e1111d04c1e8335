import { expect, it } from '@jest/globals';
import { Explorer } from '../simulation/explorer.js';
import { randomFrom } from '../simulation/network.js';

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 3_000);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const STEPS = 250;

/**
 * Real: the session check and its cache protocol, the denial list and its feed, rotation. Simulated: both stores,
 * the network, time, and the transactions that end, begin and renew sessions.
 * `npm run explore -- 1000000` for a long run, `SEED=n SCHEDULES=1 npm run test:all -- schedules` repeats one.
 */
it(
  `S1–S3, A1–A3, R1, R2, L1: ${SCHEDULES} random schedules of checks, ends, logins, refreshes, role changes, losses, flushes, pauses, crashes and restarts break no promise`,
  async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      const explorer = new Explorer(randomFrom(seed));
      await explorer.run(STEPS);
      if (explorer.violations.length > 0) {
        throw new Error(
          `SEED=${seed}: ${explorer.violations.join('; ')}\n  ${explorer.history.join('\n  ')}`,
        );
      }
      if (seed % 100_000 === 0) console.log(`${seed} schedules, none broke a promise`);
    }
    expect(SCHEDULES).toBeGreaterThan(0);
  },
  60_000 + SCHEDULES * 100,
);
