const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export type Duration = `${number}${keyof typeof UNITS}`;

/**
 * Parses a duration such as `50ms`, `10s`, `15m`, `12h` or `30d` into milliseconds.
 * @throws RangeError if the text is no duration
 */
export function milliseconds(text: string): number {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (!amount || !unit) throw new RangeError('is not a duration such as 50ms, 10s, 15m, 12h or 30d');
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}
