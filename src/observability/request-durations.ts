/** Seconds. Most answers take a fraction of a millisecond, a login about ten. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

interface Series {
  labels: { method: string; route: string; status: number };
  /** Number of requests in each bucket, not cumulative. The last one counts requests above all buckets. */
  counts: number[];
  sum: number;
}

/**
 * The histogram of all requests. prom-client's own validates and joins its labels at each observation, which took a
 * tenth of a request. This one only counts, and converts to prom-client's format when metrics are requested.
 */
export class RequestDurations {
  readonly name = 'http_request_duration_seconds';
  readonly help = 'Duration of requests by route pattern.';
  private readonly series = new Map<string, Series>();

  /** @param route a pattern; there are few of them, and each is kept for ever */
  observe(method: string, route: string, status: number, seconds: number): void {
    const key = `${status} ${method} ${route}`;
    let series = this.series.get(key);
    if (!series) {
      const counts = Array.from({ length: BUCKETS.length + 1 }, () => 0);
      this.series.set(key, (series = { labels: { method, route, status }, counts, sum: 0 }));
    }
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket += 1;
    series.counts[bucket]! += 1;
    series.sum += seconds;
  }

  /** The interface that prom-client's registry expects of a metric. */
  async get() {
    const values = [...this.series.values()].flatMap((series) => this.samplesOf(series));
    return { name: this.name, help: this.help, type: 'histogram', aggregator: 'sum', values };
  }

  private samplesOf({ labels, counts, sum }: Series) {
    let value = 0;
    const buckets = counts.map((count, index) => ({
      metricName: `${this.name}_bucket`,
      labels: { le: BUCKETS[index] ?? '+Inf', ...labels },
      value: (value += count),
    }));
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value },
    ];
  }
}
