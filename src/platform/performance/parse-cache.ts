import { ClockCache } from './clock-cache.js';

interface Reading<Value> {
  text: string;
  value: Value;
}

/** Estimated size of a parsed value in bytes, for a text of some hundred characters, without the text itself. */
const READING_BYTES = 1_000;
/** Enough for more than 10,000 such texts. */
const MAX_BYTES = 24 * 1024 * 1024;

/**
 * A cache of parsed texts that seldom change: the same text of the same key is not parsed again. All callers share
 * the values, so they are frozen. With it a strict check costs 40.7 µs instead of 46.2, and a cached one 33.9 instead
 * of 36.1 (decision 21).
 */
export class ParseCache<Value> {
  private readonly readings = new ClockCache<Reading<Value>>(
    MAX_BYTES,
    ({ text }) => text.length + READING_BYTES,
  );

  constructor(private readonly read: (key: string, text: string) => Value) {}

  /** The parsed value of a text, from the cache if the text of this key is unchanged. */
  of(key: string, text: string): Value {
    const known = this.readings.get(key);
    if (known?.text === text) return known.value;
    const value = deepFreeze(this.read(key, text));
    this.readings.set(key, { text, value });
    return value;
  }
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
