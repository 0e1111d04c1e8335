import { Injectable } from '@nestjs/common';
import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  type CounterConfiguration,
  type GaugeConfiguration,
  type HistogramConfiguration,
} from 'prom-client';
import { PRODUCT } from '../../product.js';
import { BootError } from '../settings/boot-error.js';

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

  private placeFor(unprefixed: string): { name: string; registers: Registry[] } {
    const name = PRODUCT.metricPrefix + unprefixed;
    if (this.registry.getSingleMetric(name))
      throw new BootError(`two metrics have the name "${unprefixed}": choose another name`);
    return { name, registers: [this.registry] };
  }
}
