/** One comparison in a hundred is that far off by chance alone, on one side: p ≤ 0.01 of a two-sided test. */
const Z_OF_ONE_PERCENT = 2.576;
/** The number of rounds that have to agree: by chance alone, equal distributions differ in one run of a million. */
const ROUNDS = 3;

export interface Comparison {
  /** Of the medians: 0.1 when the first takes a tenth longer. */
  gap: number;
  /**
   * Mann and Whitney's U, in standard deviations from its expected value; more than 0 when the first takes longer.
   */
  z: number;
}

export function compare(some: number[], others: number[]): Comparison {
  return { gap: median(some) / median(others) - 1, z: rankTest(some, others) };
}

export const isUnlikely = ({ z }: Comparison): boolean => Math.abs(z) > Z_OF_ONE_PERCENT;

/**
 * Whether every one of up to three independent rounds has found a difference: a real one appears each time, and one
 * by load on the machine does not.
 * @returns the rounds with a difference, as many as there were when all agree
 */
export async function toldApart(
  round: () => Promise<Comparison>,
  tells: (comparison: Comparison) => boolean,
): Promise<{ always: boolean; rounds: Comparison[] }> {
  const rounds: Comparison[] = [];
  while (rounds.length < ROUNDS) {
    rounds.push(await round());
    if (!tells(rounds.at(-1)!)) return { always: false, rounds };
  }
  return { always: true, rounds };
}

export function median(samples: number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)]!;
}

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
