import fc from 'fast-check';
import { STRATEGIES, type Strategy, type StrategyName } from './strategies.js';
import { HONEST, logsOut, refreshesUntilOut, THEFTS, type HonestKind, type TheftKind } from './trials.js';

export interface Run {
  seed: number;
  count: number;
}

/** The result for all thefts of one kind under one strategy. */
export interface Outcome {
  undetected: number;
  /** Refreshes of the owner until the thief lost access, if that happened. */
  mean: number;
  worst: number;
}

type PerStrategy<T> = Record<StrategyName, T>;

export interface Comparison {
  /** The number of clients that were logged out. */
  logouts: Record<keyof typeof HONEST, PerStrategy<number>>;
  thefts: Record<keyof typeof THEFTS, PerStrategy<Outcome>>;
}

/**
 * Runs every strategy on the same schedules. The same run has the same result for the same version of fast-check.
 */
export function compare({ seed, count }: Run): Comparison {
  const sample = { seed, numRuns: count };
  return {
    logouts: mapValues(HONEST, (kind: HonestKind) => {
      const schedules = fc.sample(kind.schedules, sample);
      return mapValues(
        STRATEGIES,
        (strategy: Strategy) => schedules.filter((schedule) => logsOut(strategy, schedule, kind)).length,
      );
    }),
    thefts: mapValues(THEFTS, (kind: TheftKind) => {
      const schedules = fc.sample(kind.schedules, sample);
      return mapValues(STRATEGIES, (strategy: Strategy) =>
        outcomeOf(schedules.map((schedule) => refreshesUntilOut(strategy, schedule, kind))),
      );
    }),
  };
}

function mapValues<Key extends string, From, To>(
  record: Record<Key, From>,
  map: (value: From) => To,
): Record<Key, To> {
  const entries = Object.entries<From>(record).map(([key, value]) => [key, map(value)]);
  return Object.fromEntries(entries) as Record<Key, To>;
}

function outcomeOf(refreshes: number[]): Outcome {
  const detected = refreshes.filter(Number.isFinite);
  const sum = detected.reduce((total, count) => total + count, 0);
  return {
    undetected: refreshes.length - detected.length,
    mean: sum / detected.length,
    worst: Math.max(...detected),
  };
}
