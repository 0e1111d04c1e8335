import { DurationHistogram, DurationSeries } from '../platform/metrics/duration-histogram.js';

/** Seconds. Most answers take a fraction of a millisecond, a login about ten. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** The histogram of all requests. */
export class RequestDurations extends DurationHistogram {
  private readonly series = new Map<string, DurationSeries>();

  constructor() {
    super('http_request_duration_seconds', 'Duration of requests by the pattern of their route.', [
      'method',
      'route',
      'status',
    ]);
  }

  /** @param route a pattern; there are few of them, and each is kept for ever */
  observe(method: string, route: string, status: number, seconds: number): void {
    const key = `${status} ${method} ${route}`;
    let series = this.series.get(key);
    if (!series) {
      series = this.add({ method, route, status }, new DurationSeries(BOUNDS));
      this.series.set(key, series);
    }
    series.observe(seconds);
  }
}
