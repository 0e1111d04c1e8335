import fc from 'fast-check';
import type { RefreshPosition } from '../../src/sessions/refresh/rotation.js';
import {
  CopiedJar,
  exchangeLimitOf,
  LONG_AFTER,
  NEWEST,
  SharedJar,
  shadowings,
  tabsAtOnce,
  tabSchedules,
  thefts,
  type TabSchedule,
  type Theft,
  type Turn,
} from '../../test/support/refresh-schedules.js';
import type { KeyProof } from '../../src/sessions/binding/session-binding.js';
import { BOUND_COOKIE, LOGIN, type Strategy } from './strategies.js';

export const GRACE = 10_000;
const WEEKS = 21 * 86_400_000;
/** A thief who still can refresh after so many refreshes of the owner counts as undetected. */
export const PATIENCE = 10;
/** How long a copy of the bound cookie is good: `BoundCookieResponder` has the same time. */
export const BOUND_COOKIE_MS = 5 * 60_000;

/** The secrets of a request beside its refresh token. */
interface Shown {
  /** The device token. */
  proof: boolean;
  keyProof: KeyProof | null;
}

/** A session under a strategy. */
class Trial {
  private state: unknown;
  now = 1_750_000_000_000;

  constructor(private readonly strategy: Strategy) {
    this.state = strategy.initial();
  }

  wait(ms: number): void {
    this.now += ms;
  }

  /**
   * @returns `ended` when the refusal ends the session, `refused` when it continues without an answer, `unproven` when
   * the request lacks the device key
   */
  present(token: RefreshPosition, shown: Shown): RefreshPosition | 'refused' | 'unproven' | 'ended' {
    const moment = { ...shown, now: this.now, grace: GRACE };
    const { state, decision } = this.strategy.rotate(this.state, token, moment);
    if (decision.outcome === 'unproven' && state !== this.state)
      throw new Error('a request without the device key has changed the session');
    this.state = state;
    if (decision.outcome === 'issue') return decision.token;
    if (decision.outcome === 'unproven') return 'unproven';
    return decision.outcome === 'superseded' ? 'refused' : 'ended';
  }

  /** Whether a token would be accepted after so long. */
  isGood(token: RefreshPosition, after: number, shown: Shown): boolean {
    const moment = { ...shown, now: this.now + after, grace: GRACE };
    return this.strategy.rotate(this.state, token, moment).decision.outcome === 'issue';
  }
}

/** Whether an honest client was logged out. */
export function logsOut(
  strategy: Strategy,
  schedule: TabSchedule,
  { limit, proof, longestDelay }: HonestKind,
): boolean {
  const trial = new Trial(strategy);
  for (const event of new SharedJar(LOGIN, limit, longestDelay).play(schedule)) {
    if ('wait' in event) {
      trial.wait(event.wait);
      continue;
    }
    // The browser gets a bound cookie before it sends the request.
    const answer = trial.present(event.request, { proof, keyProof: BOUND_COOKIE });
    if (answer === 'ended' || answer === 'unproven') return true;
    if (answer !== 'refused') event.answer = answer;
  }
  return false;
}

/**
 * The number of refreshes of the owner, counted from the thief's first one, until the session has ended or no token
 * of the thief is good any more. A thief who was refused at the first try never had access: 0.
 */
export function refreshesUntilOut(strategy: Strategy, schedule: Theft, kind: TheftKind): number {
  const trial = new Trial(strategy);
  const theft = new CopiedJar(LOGIN);
  const comesAfter = [kind.soonest, GRACE + 1];
  let jarExpiresAt: number | null = null;
  /** The jar was copied right after the browser had renewed its bound cookie: the best time for a thief. */
  const loot = (after: number): Shown => {
    const isFresh = kind.wholeJar && trial.now + after < jarExpiresAt!;
    return { proof: kind.wholeJar, keyProof: isFresh ? BOUND_COOKIE : null };
  };
  for (const use of theft.play(schedule)) {
    if (theft.loot.length > 0) jarExpiresAt ??= trial.now + BOUND_COOKIE_MS;
    trial.wait(use.wait);
    const shown = use.party === 'owner' ? { proof: true, keyProof: BOUND_COOKIE } : loot(0);
    const answer = trial.present(use.request, shown);
    // The thief cannot make a new bound cookie, so every later try is refused as well.
    if (answer === 'unproven') return theft.ownersRefreshes ?? 0;
    // A refused owner retries until the session ends; a refused thief has no newer token.
    if (answer === 'ended' || (answer === 'refused' && use.party === 'owner'))
      return theft.ownersRefreshes ?? 0;
    use.answer = answer === 'refused' ? use.request : answer;
    const since = theft.ownersRefreshes;
    if (since === null || use.party === 'thief') continue;
    const canComeBack = comesAfter.some((after) =>
      theft.loot.some((token) => trial.isGood(token, after, loot(after))),
    );
    if (!canComeBack) return since;
    const isOutSoon = strategy.needsKey && loot(0).keyProof !== null;
    if (since >= PATIENCE && !isOutSoon) break;
  }
  return Infinity;
}

export interface HonestKind {
  name: string;
  schedules: fc.Arbitrary<TabSchedule>;
  /** The maximal duration of an exchange. */
  limit: number;
  proof: boolean;
  /** The maximal delay of an aborted request. */
  longestDelay?: number;
}

export interface TheftKind {
  name: string;
  schedules: fc.Arbitrary<Theft>;
  /** With the device token. */
  wholeJar: boolean;
  /** The minimal delay of this thief after the owner. */
  soonest: number;
}

const absences = [GRACE + 1, LONG_AFTER, WEEKS];
const anything = tabSchedules({ grace: GRACE, absences });
const delayed = (maxTabs: number) =>
  tabSchedules({ grace: GRACE, absences: [GRACE / 2], maxTabs, losses: 2, delays: 3 });
const [inBounds, outOfBounds] = [exchangeLimitOf(GRACE), 2 * GRACE];

export const HONEST = {
  atOnce: {
    name: 'up to four tabs at once; no message is lost',
    schedules: tabsAtOnce(absences),
    limit: inBounds,
    proof: true,
  },
  oneTab: {
    name: 'one tab; requests and answers are lost',
    schedules: tabSchedules({ grace: GRACE, absences, maxTabs: 1 }),
    limit: inBounds,
    proof: true,
  },
  anything: {
    name: 'up to four tabs; lost, late, out of order, weeks offline',
    schedules: anything,
    limit: inBounds,
    proof: true,
  },
  deviceless: {
    name: 'the same, by a client without a device token',
    schedules: anything,
    limit: inBounds,
    proof: false,
  },
  delayedOneTab: {
    name: 'one tab; abandoned requests arrive up to 30 s after they were sent',
    schedules: delayed(1),
    limit: inBounds,
    proof: true,
    longestDelay: 3 * GRACE,
  },
  delayed: {
    name: 'up to four tabs; the same, with refreshes faster than the grace',
    schedules: delayed(4),
    limit: inBounds,
    proof: true,
    longestDelay: 3 * GRACE,
  },
  slow: {
    name: 'up to four tabs with a device token; an exchange may take 20 s',
    schedules: anything,
    limit: outOfBounds,
    proof: true,
  },
} satisfies Record<string, HonestKind>;

/** Six hours of refreshes every ten minutes, and the thief within a grace of every second one. */
export function everySecondTime(rounds = 18): fc.Arbitrary<Theft> {
  const after = fc.array(fc.integer({ min: 0, max: GRACE }), { minLength: rounds, maxLength: rounds });
  return after.map((waits) => ({
    past: [],
    turns: waits.flatMap((wait): Turn[] => [
      { party: 'owner', pick: 0, wait: LONG_AFTER },
      { party: 'owner', pick: 0, wait: LONG_AFTER },
      { party: 'thief', pick: NEWEST, wait },
    ]),
  }));
}

const NIGHT = { minLength: 60, maxLength: 60 };
const anyTime = [0, 1, GRACE / 2, GRACE, GRACE + 1, LONG_AFTER];
/** A party with a newer token does not present an older one. */
const cleverly = (schedules: fc.Arbitrary<Theft>) =>
  schedules.map(({ past, turns }) => ({ past, turns: turns.map((turn) => ({ ...turn, pick: NEWEST })) }));

export const THEFTS = {
  tokenAnyTime: {
    name: 'the refresh token alone, used at any time',
    schedules: cleverly(thefts(GRACE, { ...NIGHT, waits: anyTime })),
    wholeJar: false,
    soonest: 0,
  },
  tokenClose: {
    name: 'the refresh token alone, used within 10 s after the owner each time',
    schedules: shadowings(GRACE),
    wholeJar: false,
    soonest: 0,
  },
  jarApart: {
    name: 'the whole jar, used more than 10 s away from the owner',
    schedules: cleverly(thefts(GRACE, NIGHT)),
    wholeJar: true,
    soonest: GRACE + 1,
  },
  jarAnyTime: {
    name: 'the whole jar, used at any time',
    schedules: cleverly(thefts(GRACE, { ...NIGHT, waits: anyTime })),
    wholeJar: true,
    soonest: 0,
  },
  jarEverySecondTime: {
    name: 'the whole jar, used within 10 s after every second refresh of the owner',
    schedules: everySecondTime(),
    wholeJar: true,
    soonest: 0,
  },
  jarClose: {
    name: 'the whole jar, used within 10 s after the owner each time',
    schedules: shadowings(GRACE),
    wholeJar: true,
    soonest: 0,
  },
} satisfies Record<string, TheftKind>;
