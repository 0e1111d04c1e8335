import { milliseconds } from '../settings/duration.js';
import { MAX_ACCESS_TOKEN_LIFETIME, MAX_SESSION_LIFETIME } from '../settings/settings.js';

/**
 * The period in which a key is used, in ms since the epoch. A key also verifies before it starts, so that instances
 * may switch one after the other.
 */
export interface Term {
  /** The key signs or mints from this time on, until another key starts. Absent: it always has. */
  startsAt?: number;
  /** Tokens of this key are invalid from this time on. Absent: no other key has replaced it yet. */
  retiresAt?: number;
}

/** How long verifiers may cache the published keys, in seconds. */
export const JWKS_MAX_AGE_S = 300;
/** How often an instance reads its key file, in ms. */
export const RELOAD_INTERVAL_MS = 1_000;
/** Allowance for differences between the clocks of instances and verifiers, in ms. */
const SKEW_MS = 60_000;

/** Minimum lead time in ms. A verifier that follows the published keys always knows a key before it signs. */
export const MIN_LEAD_MS = JWKS_MAX_AGE_S * 1_000 + SKEW_MS;
/**
 * A Kubernetes node takes up to two minutes to deliver a changed secret. An operator takes longer to notice that it
 * has not arrived.
 */
export const DEFAULT_LEAD = '15m';
/** How long a key verifies after another has replaced it, in ms: until the last of its tokens has expired. */
export const KEPT_MS = {
  signing: milliseconds(MAX_ACCESS_TOKEN_LIFETIME) + SKEW_MS,
  refresh: milliseconds(MAX_SESSION_LIFETIME) + SKEW_MS,
};

export const startOf = ({ startsAt = 0 }: Term): number => startsAt;

/** Sorts by start, latest first. Equal starts keep their order. */
export function newestFirst<T extends Term>(terms: readonly T[]): T[] {
  return terms.toSorted((a, b) => startOf(b) - startOf(a));
}

/**
 * The key that signs, mints or encrypts: the last one that has started. All instances switch at the instant that the
 * file names, regardless of when they have read it. If none has started (a clock is behind), the one that starts
 * first.
 * @param terms newest first, and not empty
 */
export function inUse<T extends Term>(terms: readonly T[], now: number): T {
  return terms.find((term) => startOf(term) <= now) ?? terms.at(-1)!;
}

/** Whether tokens of a key are still valid at `now`. */
export function isGood({ retiresAt = Infinity }: Term, now: number): boolean {
  return now < retiresAt;
}

/** Whether a valid key is in use at every instant: a key retires only after another has started. */
export function isUnbroken(terms: readonly Term[]): boolean {
  return newestFirst(terms).every(({ retiresAt = Infinity }, index, ordered) => {
    const successor = ordered[index - 1];
    return successor ? retiresAt >= startOf(successor) : retiresAt === Infinity;
  });
}
