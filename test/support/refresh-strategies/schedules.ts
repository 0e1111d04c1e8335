import fc from 'fast-check';
import type { Strategy } from './strategies.js';

/** A session under one strategy, from login on. */
class Session<State, Token> {
  now = 1_750_000_000_000;
  ended = false;
  readonly first: Token;
  private state: State;

  constructor(private readonly strategy: Strategy<State, Token>) {
    const { state, token } = strategy.login(this.now);
    this.state = state;
    this.first = token;
  }

  /** Whether a token would still be answered when nothing is under way any more. */
  takes(token: Token, proof: boolean): boolean {
    const now = this.now + 11 * SECOND;
    return !this.ended && this.strategy.present(this.state, token, { proof, now }) !== null;
  }

  present(token: Token, proof: boolean): Token | null {
    const answer = this.ended ? null : this.strategy.present(this.state, token, { proof, now: this.now });
    if (!answer) this.ended = true;
    else this.state = answer.state;
    return answer?.token ?? null;
  }
}

/** What happens to the tabs of one browser, which share a cookie jar. */
export interface HonestSchedule {
  tabs: number;
  steps: ({ do: 'send' | 'lose' | 'deliver'; pick: number } | { do: 'wait'; ms: number })[];
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

const pick = fc.nat({ max: 11 });
const steps = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), pick }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('deliver' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, SECOND, 3 * SECOND, 3 * SECOND, 11 * SECOND, 15 * 60 * SECOND, 20 * DAY),
    }),
  },
);

/** One to four tabs that send, lose, and get late and out of order; days go by in between. */
export const honestSchedule: fc.Arbitrary<HonestSchedule> = fc.record({
  tabs: fc.integer({ min: 1, max: 4 }),
  steps: fc.array(steps, { minLength: 20, maxLength: 80, size: 'max' }),
});

/**
 * @param longest ms from sending to landing; what takes longer is lost, as a client's time-out makes it
 * @returns whether somebody was logged out who had done nothing wrong
 */
export function logsOut<State, Token>(
  strategy: Strategy<State, Token>,
  { tabs, steps }: HonestSchedule,
  longest: number,
): boolean {
  const session = new Session(strategy);
  let jar = session.first;
  let exchanges: { sentAt: number; request: Token; answer?: Token }[] = [];
  for (const step of steps) {
    if (step.do === 'wait') {
      session.now += step.ms;
      exchanges = exchanges.filter(({ sentAt }) => session.now - sentAt <= longest);
      continue;
    }
    if (step.do === 'send') {
      if (exchanges.length < tabs) exchanges.push({ sentAt: session.now, request: jar });
      continue;
    }
    const index = step.pick % Math.max(1, exchanges.length);
    const exchange = exchanges[index];
    if (!exchange) continue;
    if (step.do === 'deliver' && exchange.answer === undefined) {
      exchange.answer = session.present(exchange.request, true) ?? undefined;
      if (session.ended) return true;
      continue;
    }
    if (step.do === 'deliver') jar = exchange.answer!;
    exchanges.splice(index, 1);
  }
  return false;
}

/** An owner with one tab, from whom somebody copies what there is and uses it in turn with them. */
export interface Theft {
  past: number[];
  turns: { party: 'owner' | 'thief'; wait: number }[];
}

/** Nobody is within grace of the other one: that is an ordinary race, and is counted apart. */
const apart = fc.constantFrom(11 * SECOND, 60 * SECOND, 15 * 60 * SECOND, 8 * HOUR);

export const theft: fc.Arbitrary<Theft> = fc.record({
  past: fc.array(fc.constantFrom(15 * 60 * SECOND, HOUR, DAY), { maxLength: 6 }),
  turns: fc.array(fc.record({ party: fc.constantFrom('owner' as const, 'thief' as const), wait: apart }), {
    minLength: 30,
    maxLength: 40,
    size: 'max',
  }),
});

/** After so many refreshes of the owner the thief is taken to stay. */
export const STAYS_AFTER = 5;

/**
 * @param jar whether the device token was copied too
 * @returns the owner's refreshes from the thief's first use until the session has ended, or would end if the thief
 * showed their token once more; null when the thief stays
 */
export function refreshesUntilOut<State, Token>(
  strategy: Strategy<State, Token>,
  { past, turns }: Theft,
  jar: boolean,
): number | null {
  const session = new Session(strategy);
  let owned = session.first;
  for (const wait of past) {
    session.now += wait;
    owned = session.present(owned, true) ?? owned;
  }
  let stolen = owned;
  let used = false;
  let refreshes = 0;
  for (const { party, wait } of turns) {
    session.now += wait;
    if (party === 'thief') {
      stolen = session.present(stolen, jar) ?? stolen;
      used = true;
    } else {
      owned = session.present(owned, true) ?? owned;
      if (used) refreshes += 1;
    }
    if (session.ended || (used && !session.takes(stolen, jar))) return refreshes;
    if (refreshes >= STAYS_AFTER) return null;
  }
  return null;
}
