import { expect, it } from '@jest/globals';
import { Explorer } from '../simulation/explorer.js';
import { randomFrom } from '../simulation/stores/network.js';

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 2_000);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);

/**
 * Real: the checks of sessions, API keys and grants with their cache protocol, the services that end and rotate them,
 * the denial list and its feed, rotation. Simulated: both stores and the statements that they get, the network, time,
 * and the transactions of logins and refreshes.
 * `npm run explore -- 1000000` for a long run, `SEED=n SCHEDULES=1 npm run test:all -- schedules` repeats one.
 */
it(
  `S1–S3, S5, S7, A1–A3, R1, R2, L1: ${SCHEDULES} random schedules of checks, ends, bans, rotations, logins, refreshes, role changes, losses, flushes, pauses, crashes and restarts break no promise`,
  async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      const explorer = new Explorer(randomFrom(seed));
      await explorer.run();
      if (explorer.violations.length > 0) {
        throw new Error(
          `SEED=${seed}: ${explorer.violations.join('; ')}\n  ${explorer.history.join('\n  ')}`,
        );
      }
    }
    expect(SCHEDULES).toBeGreaterThan(0);
  },
  60_000 + SCHEDULES * 100,
);
