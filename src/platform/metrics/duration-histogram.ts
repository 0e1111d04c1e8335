/** Durations in seconds: how many were within each bound, and their sum. */
export class DurationSeries {
  /** Number of durations in each bucket, not cumulative. The last one counts durations above all bounds. */
  readonly counts: number[];
  sum = 0;

  /** @param bounds in seconds, ascending */
  constructor(readonly bounds: readonly number[]) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && seconds > this.bounds[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sum += seconds;
  }
}

type Labels = Record<string, string | number>;

/**
 * A histogram for code that runs for each request. prom-client's own validates and joins its labels at each
 * observation, which took a tenth of a request. This one only counts, and converts to prom-client's format when metrics
 * are requested.
 */
export class DurationHistogram {
  readonly type = 'histogram';
  private readonly all: { labels: Labels; series: DurationSeries }[] = [];

  constructor(
    readonly name: string,
    readonly help: string,
    readonly labelNames: readonly string[],
  ) {}

  /** Adds a series, and keeps it for ever: the values of its labels must be few. */
  add(labels: Labels, series: DurationSeries): DurationSeries {
    this.all.push({ labels, series });
    return series;
  }

  /** The interface that prom-client's registry expects of a metric. */
  async get() {
    const values = this.all.flatMap(({ labels, series }) => this.samplesOf(labels, series));
    return { name: this.name, help: this.help, type: this.type, aggregator: 'sum', values };
  }

  private samplesOf(labels: Labels, { bounds, counts, sum }: DurationSeries) {
    let value = 0;
    const buckets = counts.map((count, index) => ({
      metricName: `${this.name}_bucket`,
      labels: { le: bounds[index] ?? '+Inf', ...labels },
      value: (value += count),
    }));
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value },
    ];
  }
}
