import { Injectable } from '@nestjs/common';
import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  type CounterConfiguration,
  type GaugeConfiguration,
  type HistogramConfiguration,
  type Metric,
} from 'prom-client';
import { PRODUCT } from '../../product.js';
import { BootError } from '../settings/boot-error.js';
import { DurationHistogram } from './duration-histogram.js';

/** The values of a label, and the number of each. */
type Numbers = Iterable<readonly [labelValue: string, value: number]>;

type Unregistered<Configuration> = Omit<Configuration, 'registers'>;

/**
 * The metrics of this instance, which `GET /metrics` prints. A feature adds its own in a constructor. Each name gets
 * the product's prefix. The options are prom-client's; `collect` runs when metrics are requested.
 *
 * @throws BootError if another metric has the name
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  /** A number that only grows, such as events since the start. By convention its name ends with `_total`. */
  counter<Label extends string = never>(options: Unregistered<CounterConfiguration<Label>>): Counter<Label> {
    return new Counter({ ...options, ...this.placeFor(options.name) });
  }

  /** A number that grows and shrinks, such as the length of a queue. */
  gauge<Label extends string = never>(options: Unregistered<GaugeConfiguration<Label>>): Gauge<Label> {
    return new Gauge({ ...options, ...this.placeFor(options.name) });
  }

  /** The distribution of values, such as durations in seconds. */
  histogram<Label extends string = never>(
    options: Unregistered<HistogramConfiguration<Label>>,
  ): Histogram<Label> {
    return new Histogram({ ...options, ...this.placeFor(options.name) });
  }

  /** A gauge that is read when metrics are requested. */
  value(name: string, help: string, read: () => number): void {
    this.values(name, help, null, () => [['', read()]]);
  }

  /** A gauge with one label, or none, that is read when metrics are requested. A value that is not read has no sample. */
  values(name: string, help: string, label: string | null, read: () => Numbers): void {
    this.gauge<string>({
      name,
      help,
      labelNames: labelNamesOf(label),
      collect() {
        this.reset();
        for (const [labelValue, value] of read()) this.set(label ? { [label]: labelValue } : {}, value);
      },
    });
  }

  /** A counter with one label, or none, that other code counts. It is read when metrics are requested. */
  counts(name: string, help: string, label: string | null, read: () => Numbers): void {
    this.counter<string>({
      name,
      help,
      labelNames: labelNamesOf(label),
      collect() {
        this.reset();
        for (const [labelValue, value] of read()) this.inc(label ? { [label]: labelValue } : {}, value);
      },
    });
  }

  /** A histogram for code that runs for each request. */
  durations(unprefixed: string, help: string, labelNames: readonly string[]): DurationHistogram {
    const { name, registers } = this.placeFor(unprefixed);
    const histogram = new DurationHistogram(name, help, labelNames);
    for (const registry of registers) registry.registerMetric(histogram as unknown as Metric);
    return histogram;
  }

  private placeFor(unprefixed: string): { name: string; registers: Registry[] } {
    const name = PRODUCT.metricPrefix + unprefixed;
    if (this.registry.getSingleMetric(name))
      throw new BootError(`two metrics have the name "${unprefixed}": choose another name`);
    return { name, registers: [this.registry] };
  }
}

function labelNamesOf(label: string | null): string[] {
  return label === null ? [] : [label];
}
