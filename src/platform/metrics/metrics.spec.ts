import { expect, it } from '@jest/globals';
import { PRODUCT } from '../../product.js';
import { Metrics } from './metrics.js';

/** Real: prom-client. */
it('a metric with the name of another one is refused, whatever its kind', () => {
  const metrics = new Metrics();
  metrics.counter({ name: 'invoices_total', help: 'Invoices.' });
  for (const kind of ['counter', 'gauge', 'histogram'] as const)
    expect(() => metrics[kind]({ name: 'invoices_total', help: 'Invoices.' })).toThrow(
      'two metrics have the name "invoices_total": choose another name',
    );
});

it('every kind of metric has the prefix of the product', async () => {
  const metrics = new Metrics();
  metrics.counter({ name: 'sent_total', help: 'Sent.', labelNames: ['plan'] }).inc({ plan: 'free' }, 2);
  metrics.gauge({ name: 'waiting', help: 'Waiting.' }).set(3);
  metrics.histogram({ name: 'duration_seconds', help: 'Duration.', buckets: [1] }).observe(0.5);
  const text = await metrics.registry.metrics();
  for (const sample of ['sent_total{plan="free"} 2', 'waiting 3', 'duration_seconds_bucket{le="1"} 1'])
    expect(text.split('\n')).toContain(PRODUCT.metricPrefix + sample);
});
