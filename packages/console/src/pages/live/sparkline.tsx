import type { ComponentChildren } from 'preact';
import { WINDOW_MS } from './live-state.js';

export interface Point {
  at: number;
  value: number;
}

/** Units of the picture: a second is one unit wide. CSS decides the size on the screen. */
const WIDTH = WINDOW_MS / 1_000;
const HEIGHT = 20;
/** Room for the width of the stroke. */
const INSET = 2;

const xOf = ({ at }: Point, now: number): number => WIDTH - (now - at) / 1_000;

/** A number that has a value at each time. Its scale begins at the least value, so that changes are seen. */
export function Curve({ points, now }: { points: Point[]; now: number }) {
  const values = points.map(({ value }) => value);
  const least = Math.min(...values);
  const range = Math.max(...values) - least;
  const yOf = (value: number) =>
    range === 0 ? HEIGHT / 2 : HEIGHT - INSET - ((value - least) / range) * (HEIGHT - 2 * INSET);
  return (
    <Picture>
      <polyline
        points={points
          .map((point) => `${xOf(point, now).toFixed(2)},${yOf(point.value).toFixed(2)}`)
          .join(' ')}
        vector-effect="non-scaling-stroke"
      />
    </Picture>
  );
}

/** A count per report. @param most the value of a bar of full height */
export function Bars({ points, now, most }: { points: Point[]; now: number; most?: number }) {
  const top = most ?? Math.max(1, ...points.map(({ value }) => value));
  return (
    <Picture>
      <line x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} vector-effect="non-scaling-stroke" />
      {points
        .filter(({ value }) => value > 0)
        .map((point) => (
          <rect
            key={point.at}
            x={xOf(point, now) - 0.9}
            y={HEIGHT - (point.value / top) * HEIGHT}
            width="0.9"
            height={(point.value / top) * HEIGHT}
          />
        ))}
    </Picture>
  );
}

/** Text beside the picture says the same. */
function Picture({ children }: { children: ComponentChildren }) {
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {children}
    </svg>
  );
}
