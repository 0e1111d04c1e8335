import { expect, it } from '@jest/globals';
import { randomFrom, Simulation } from './support/simulation.js';

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 4_000);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const STEPS = 80;

/**
 * Real: the session check and its cache protocol. Simulated: both stores, the network, time.
 * `SCHEDULES=1000000 npm test -- schedules` for a long run, `SEED=n SCHEDULES=1` for one again.
 */
it(`S1, S2, S3: ${SCHEDULES} random schedules of checks, ends, role changes, losses, flushes and outages break no promise`, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
    const simulation = new Simulation(randomFrom(seed));
    await simulation.run(STEPS);
    if (simulation.violations.length > 0) {
      throw new Error(
        `SEED=${seed}: ${simulation.violations.join('; ')}\n  ${simulation.history.join('\n  ')}`,
      );
    }
  }
  expect(SCHEDULES).toBeGreaterThan(0);
}, 600_000);
