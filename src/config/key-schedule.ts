import { milliseconds } from '../common/duration.js';
import { LONGEST_ACCESS_TOKEN, LONGEST_SESSION } from './settings.js';

/** When a key is used, in ms since the epoch. It verifies before that too, so that instances may switch one after the other. */
export interface Term {
  /** It signs or mints from then on, until another one does. Absent: it always has. */
  startsAt?: number;
  /** What it has signed is good no longer from then on. Absent: nothing has taken its place yet. */
  retiresAt?: number;
}

/** How long others may keep the published keys. */
export const JWKS_MAX_AGE_S = 300;
/** How often an instance looks at its key file. */
export const RELOAD_INTERVAL_MS = 1_000;
/** Clocks of instances, and of those who verify our tokens, differ. */
const SKEW_MS = 60_000;

/** Nobody who follows the published keys meets one that signs before they have heard of it. */
export const LEAST_LEAD_MS = JWKS_MAX_AGE_S * 1_000 + SKEW_MS;
/** A Kubernetes node takes up to two minutes to bring a changed secret, a person takes longer to see that it has not. */
export const DEFAULT_LEAD = '15m';
/** How long a key verifies after another has taken its place: as long as the last of its tokens may be shown. */
export const KEPT_MS = {
  signing: milliseconds(LONGEST_ACCESS_TOKEN) + SKEW_MS,
  refresh: milliseconds(LONGEST_SESSION) + SKEW_MS,
};

export const startOf = ({ startsAt = 0 }: Term): number => startsAt;

/** The last to start is first; among equals, the order that they had. */
export function newestFirst<T extends Term>(terms: readonly T[]): T[] {
  return terms.toSorted((a, b) => startOf(b) - startOf(a));
}

/**
 * The one that signs or mints: the last that has started. All instances switch at the instant that the file names,
 * whenever they have read it. Where none has started (a clock is behind), the one that will be the first.
 * @param terms newest first, and not empty
 */
export function inUse<T extends Term>(terms: readonly T[], now: number): T {
  return hasStarted(terms, now) ?? terms.at(-1)!;
}

/** As {@link inUse}, and nobody where none has started: what others cannot open yet is not sealed. */
export function hasStarted<T extends Term>(terms: readonly T[], now: number): T | undefined {
  return terms.find((term) => startOf(term) <= now);
}

export function isGood({ retiresAt = Infinity }: Term, now: number): boolean {
  return now < retiresAt;
}

/** Whether somebody is in use, and good, at every instant: a key retires only after another has started. */
export function isUnbroken(terms: readonly Term[]): boolean {
  return newestFirst(terms).every(({ retiresAt = Infinity }, index, ordered) => {
    const successor = ordered[index - 1];
    return successor ? retiresAt >= startOf(successor) : retiresAt === Infinity;
  });
}
