/** @param {number[]} values @param {number} share from 0 to 1 */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values) => percentile(values, 0.5);

/** "p50 1.2, p99 3.4, max 5.6 ms" */
export function spread(values, unit = 'ms') {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(values, share).toFixed(1));
  return `p50 ${p50}, p95 ${p95}, p99 ${p99}, max ${Math.max(...values).toFixed(1)} ${unit}`;
}

/** "12 (10 to 15) ms": the median of the rounds, and their range. */
export function rounds(values, unit = 'ms', digits = 0) {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} (${least} to ${most}) ${unit}`;
}

/** Runs `work` for each item, so many at once. */
export async function inParallel(items, workers, work) {
  const waiting = [...items];
  const worker = async () => {
    while (waiting.length > 0) await work(waiting.pop());
  };
  await Promise.all(Array.from({ length: workers }, worker));
}
