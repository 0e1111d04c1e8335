import { texts } from '../texts.js';

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
];

/** An instant as "5 minutes ago". The exact time is in its tooltip, and machines can read it. */
export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <>{texts.common.never}</>;
  const exact = new Date(at).toLocaleString(texts.locale, { dateStyle: 'medium', timeStyle: 'medium' });
  return (
    <time dateTime={at} title={exact}>
      {relative(Date.parse(at) - Date.now())}
    </time>
  );
}

function relative(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['second', 1_000];
  return new Intl.RelativeTimeFormat(texts.locale, { numeric: 'auto' }).format(Math.round(ms / size), unit);
}
