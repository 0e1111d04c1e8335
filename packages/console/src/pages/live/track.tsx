import { texts } from '../../texts.js';
import { WINDOW_MS, type Revocation } from './live-state.js';

const t = texts.live;
/** Positions in percent of the width. The right one leaves room for a label. */
const LEFT = 4;
const RIGHT = 94;
/** Closer marks have no label of their own: the list of revocations has all delays. */
const LABEL_WIDTH = 17;
/** A revocation normally arrives in milliseconds. */
const LATE_AFTER_MS = 1_000;

interface TrackProps {
  lane: string;
  revocations: Revocation[];
  selected: number | undefined;
  onSelect: (seq: number) => void;
  now: number;
}

interface Mark {
  seq: number;
  x: number;
  /** `pending`: the lane has not reported it. `late`: and a second is over. */
  kind: 'arrived' | 'pending' | 'late';
  label?: string;
}

/**
 * The last minute of a lane: a mark for each revocation, with its delay. It is a picture only. Its text is in the list of
 * revocations, whose buttons select as the marks do.
 */
export function Track({ selected, onSelect, ...track }: TrackProps) {
  return (
    <svg class="track" aria-hidden="true">
      <line x1="0" x2="100%" y1="28" y2="28" />
      {marksOf(track).map(({ seq, x, kind, label }) => (
        <g key={seq} class={`${kind} ${seq === selected ? 'selected' : ''}`} onClick={() => onSelect(seq)}>
          <circle class="target" cx={`${x}%`} cy="28" r="12" />
          <circle class="mark" cx={`${x}%`} cy="28" r="5" />
          {label && (
            <text x={`${x}%`} y="14" text-anchor="middle">
              {label}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}

function marksOf({ lane, revocations, now }: Pick<TrackProps, 'lane' | 'revocations' | 'now'>): Mark[] {
  const marks: Mark[] = [];
  let labelled = Infinity;
  for (const { seq, seenAt, arrivals, pending } of revocations) {
    const age = Math.max(0, now - seenAt);
    const arrival = arrivals.find((arrival) => arrival.lane === lane);
    if (age > WINDOW_MS || !(arrival || pending.includes(lane))) continue;
    const x = RIGHT - (RIGHT - LEFT) * (age / WINDOW_MS);
    const hasRoom = labelled - x >= LABEL_WIDTH;
    if (hasRoom) labelled = x;
    const waiting = age > LATE_AFTER_MS ? 'late' : 'pending';
    const label = arrival ? t.shortDelay(arrival.delayMs) : t.pending;
    marks.push({ seq, x, kind: arrival ? 'arrived' : waiting, label: hasRoom ? label : undefined });
  }
  return marks;
}
