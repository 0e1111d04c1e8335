const line = (cells) => `| ${cells.join(' | ')} |`;

const isFigure = (cell) => /^(\*\*|[<≤] ?)?[\d–]/.test(cell);

/** @param {(string | number)[][]} rows the first is the head; columns of figures are right-aligned */
export function table(rows) {
  const [head, ...body] = rows;
  const rule = head.map((_, column) =>
    column > 0 && body.every((row) => isFigure(String(row[column]))) ? '---:' : '---',
  );
  return [head, rule, ...body].map(line).join('\n');
}

const UNITS = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** Two significant digits, three from a hundred on: 1,234 is 1.2 k. B is a thousand million. */
export function short(value) {
  if (value === Infinity) return '–';
  const rounded = Number(value.toPrecision(value >= 100 && value < 1_000 ? 3 : 2));
  const [unit, sign] = UNITS.find(([least]) => rounded >= least) ?? [1, ''];
  const figure = Number((rounded / unit).toPrecision(3));
  if (rounded < 0.01) return rounded === 0 ? '0' : '< 0.01';
  return sign ? `${figure} ${sign}` : `${figure}`;
}

export const bytes = (value) => `${short(value).replace('B', 'G')}B`.replace(/(\d)B$/, '$1 B');

export const whole = (value) => Math.round(value).toLocaleString('en-US');

export function duration(seconds) {
  if (seconds < 0.1) return `${whole(seconds * 1_000)} ms`;
  if (seconds < 90) return `${short(seconds)} s`;
  if (seconds < 5_400) return `${whole(seconds / 60)} min`;
  return `${whole(seconds / 3_600)} h`;
}
