import { useEffect, useState } from 'preact/hooks';

const SECOND_MS = 1_000;

/** The time in milliseconds since the epoch. The component renders each second while `isTicking`. */
export function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isTicking) return;
    const tick = () => setNow(Date.now());
    tick();
    const timer = setInterval(tick, SECOND_MS);
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}
