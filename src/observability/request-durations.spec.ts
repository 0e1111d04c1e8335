import { expect, it } from '@jest/globals';
import { Histogram, Registry, type Metric } from 'prom-client';
import { RequestDurations } from './request-durations.js';

/** Real: prom-client, whose own histogram is the reference. */
it('RequestDurations prints the same text as prom-client’s own histogram', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const durations = new RequestDurations();
  ours.registerMetric(durations as unknown as Metric);
  const histogram = new Histogram({
    name: durations.name,
    help: durations.help,
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [theirs],
  });
  const observe = (method: string, route: string, status: number, seconds: number) => {
    durations.observe(method, route, status, seconds);
    histogram.observe({ method, route, status }, seconds);
  };
  for (const seconds of [0, 0.001, 0.0011, 0.3, 10, 10.1, 600]) observe('GET', '/v1/a/:id', 200, seconds);
  observe('POST', '/v1/a', 201, 0.01);
  observe('GET', '/v1/a/:id', 404, 0.01);
  observe('GET', 'a "name"\\ with\nquotes', 200, 0.01);
  const linesOf = (text: string) => text.trim().split('\n').sort();
  expect(linesOf(await ours.metrics())).toEqual(linesOf(await theirs.metrics()));
  expect(await ours.metrics()).toContain('le="+Inf"');
});
