import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ALICE, resetStores, startApp, type TestApp } from './support/app.js';

const SAMPLES = 300;
const WARM_UP = 20;
/** One run in ten thousand is that far off by chance alone. */
const MOST_Z = 4;
/** What a skipped hash or a mail that is made before the answer would exceed by far. */
const MOST_GAP = 0.1;

/**
 * Compares two distributions with each other, never with a clock on the wall: taken in turns, so that whatever
 * slows this machine down slows both. Real: PostgreSQL, the cache, the hasher, the workers that send mails.
 */
describe('from how long an answer takes nobody learns who has an account: [AUT-02, AUT-09, RST-01]', () => {
  let app: TestApp;
  let count = 0;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterAll(() => app.close());

  const nobody = () => `nobody${(count += 1)}@example.com`;

  it.each<[string, (email: string) => object]>([
    ['/v1/auth/login', (email) => ({ email, password: 'this is not the password' })],
    ['/v1/auth/register', (email) => ({ email, password: 'nine owls under a bridge' })],
    ['/v1/auth/password/forgot', (email) => ({ email })],
  ])(
    '%s',
    async (path, body) => {
      const known: number[] = [];
      const unknown: number[] = [];
      for (let round = 0; round < SAMPLES + WARM_UP; round += 1) {
        const turns: [number[], string][] = [
          [known, ALICE.email],
          [unknown, nobody()],
        ];
        if (round % 2) turns.reverse();
        for (const [samples, email] of turns) {
          const begin = performance.now();
          await app.client().post(path, body(email));
          if (round >= WARM_UP) samples.push(performance.now() - begin);
        }
      }
      const gap = Math.abs(median(known) - median(unknown)) / median(unknown);
      const z = Math.abs(rankTest(known, unknown));
      const toldApart = z > MOST_Z && gap > MOST_GAP;
      expect({ gap, z, toldApart }).toEqual({ gap, z, toldApart: false });
    },
    180_000,
  );
});

function median(samples: number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)]!;
}

/** Mann and Whitney's U, as so many standard deviations from what chance would give. */
function rankTest(some: number[], others: number[]): number {
  const all = [
    ...some.map((time) => ({ time, ours: true })),
    ...others.map((time) => ({ time, ours: false })),
  ];
  all.sort((a, b) => a.time - b.time);
  const ranks = all.reduce((sum, { ours }, index) => (ours ? sum + index + 1 : sum), 0);
  const [n, m] = [some.length, others.length];
  const u = ranks - (n * (n + 1)) / 2;
  return (u - (n * m) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12);
}
