import fc from 'fast-check';

/**
 * The transmission of refresh tokens, for any server: `rotate` itself, instances over HTTP, or a strategy that it
 * is compared with. Players yield each presented token, and continue with the answer that the caller sets there.
 */

export const LONG_AFTER = 600_000;

/** A client aborts an exchange that takes longer than this. */
export const exchangeLimitOf = (grace: number): number => Math.floor(grace / 3);

/** A request with the token that it took along, until its answer has arrived or is lost. */
export interface Exchange<Token> {
  sentAt: number;
  request: Token;
  answer?: Token;
  /** The client has aborted it, and its answer is lost. */
  isDelayed?: boolean;
}

// --- Tabs over one cookie jar

/**
 * `advance`: a request reaches the server, or its answer the jar. `pick` chooses the tab. `lose`: the tab aborts
 * its exchange. `delayed`: an aborted request reaches the server after all.
 */
export type TabStep =
  { does: 'send' } | { does: 'advance' | 'lose' | 'delayed'; pick: number } | { does: 'wait'; ms: number };

export interface TabSchedule {
  tabs: number;
  steps: TabStep[];
}

export interface TabScheduleOptions {
  grace: number;
  maxTabs?: number;
  /** How often a message is lost, where a request is sent 4 times. */
  losses?: number;
  /** Pauses longer than a grace. */
  absences?: number[];
  /** How often an aborted request arrives. */
  delays?: number;
}

export const PICK = fc.nat({ max: 11 });

/** Up to four tabs that send, deliver, lose, delay, reorder and use. */
export function tabSchedules({
  grace,
  maxTabs = 4,
  losses = 1,
  absences = [grace + 1, LONG_AFTER],
  delays = 0,
}: TabScheduleOptions): fc.Arbitrary<TabSchedule> {
  const limit = exchangeLimitOf(grace);
  const act = (does: 'advance' | 'lose' | 'delayed') => PICK.map((pick): TabStep => ({ does, pick }));
  const waits = fc.constantFrom(1, limit, limit, limit, ...absences);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant<TabStep>({ does: 'send' }) },
    { weight: 7, arbitrary: act('advance') },
    { weight: losses, arbitrary: act('lose') },
    { weight: 4, arbitrary: waits.map((ms): TabStep => ({ does: 'wait', ms })) },
    { weight: delays, arbitrary: act('delayed') },
  );
  return fc.record({
    tabs: fc.integer({ min: 1, max: maxTabs }),
    steps: fc.array(step, { maxLength: 80, size: 'max' }),
  });
}

/** Up to four tabs that refresh at once, again and again. No message is lost or late. */
export function tabsAtOnce(absences: number[], maxTabs = 4): fc.Arbitrary<TabSchedule> {
  const round = fc.record({
    sends: fc.integer({ min: 1, max: maxTabs }),
    picks: fc.array(PICK, { minLength: 2 * maxTabs, maxLength: 2 * maxTabs }),
    ms: fc.constantFrom(...absences),
  });
  return fc.array(round, { maxLength: 8, size: 'max' }).map((rounds) => ({
    tabs: maxTabs,
    steps: rounds.flatMap(({ sends, picks, ms }): TabStep[] => [
      ...Array.from({ length: sends }, (): TabStep => ({ does: 'send' })),
      // Each step advances an exchange, and each exchange has two.
      ...picks.slice(0, 2 * sends).map((pick): TabStep => ({ does: 'advance', pick })),
      { does: 'wait', ms },
    ]),
  }));
}

/**
 * The jar has the answer that arrived last, and every request takes the current token of the jar. An exchange whose
 * request gets no answer is lost.
 */
export class SharedJar<Token> {
  private now = 0;
  private exchanges: Exchange<Token>[] = [];
  private givenUp: Exchange<Token>[] = [];

  constructor(
    /** The token with which it would be sent now. */
    public holds: Token,
    /** The maximal duration of an exchange. */
    private readonly limit: number,
    /** The maximal delay of an aborted request. */
    private readonly longestDelay = 0,
  ) {}

  /** Yields each pause, and each request as it reaches the server: the caller sets its answer. */
  *play({ tabs, steps }: TabSchedule): Generator<{ wait: number } | Exchange<Token>> {
    for (const step of steps) {
      if (step.does === 'send' && this.exchanges.length < tabs)
        this.exchanges.push({ sentAt: this.now, request: this.holds });
      if (step.does === 'lose') this.giveUp(take(this.exchanges, step.pick));
      if (step.does === 'delayed') yield* take(this.givenUp, step.pick);
      if (step.does === 'wait') yield this.wait(step.ms);
      if (step.does === 'advance') yield* this.advance(step.pick);
    }
  }

  private *advance(pick: number): Generator<Exchange<Token>> {
    const exchange = this.exchanges[pick % this.exchanges.length];
    if (!exchange) return;
    const arrives = exchange.answer === undefined;
    if (arrives) yield exchange;
    if (exchange.answer === undefined) take(this.exchanges, pick);
    else if (!arrives) this.holds = take(this.exchanges, pick)[0]!.answer!;
  }

  /** The request has not reached the server yet, and still may. */
  private giveUp(exchanges: Exchange<Token>[]): void {
    const underWay = exchanges.filter(({ answer }) => answer === undefined);
    this.givenUp.push(...underWay.map((exchange) => ({ ...exchange, isDelayed: true })));
  }

  private wait(ms: number): { wait: number } {
    this.now += ms;
    const isOver = ({ sentAt }: Exchange<Token>) => this.now - sentAt > this.limit;
    this.giveUp(this.exchanges.filter(isOver));
    this.exchanges = this.exchanges.filter((exchange) => !isOver(exchange));
    this.givenUp = this.givenUp.filter(({ sentAt }) => this.now - sentAt <= this.longestDelay);
    return { wait: ms };
  }
}

const take = <T>(list: T[], pick: number): T[] => list.splice(pick % list.length, 1);

// --- Thieves

/** The owner's past, in which some answers were lost, and then two uses of one token: one of them by the thief. */
export interface DoubleUse {
  past: { wait: number; answerLost: boolean }[];
  wait: number;
  thiefFirst: boolean;
  between: number;
}

export function doubleUses(grace: number): fc.Arbitrary<DoubleUse> {
  const waits = fc.constantFrom(0, 1, grace, grace + 1, LONG_AFTER);
  return fc.record({
    past: fc.array(fc.record({ wait: waits, answerLost: fc.boolean() }), { maxLength: 12 }),
    wait: waits,
    thiefFirst: fc.boolean(),
    between: waits,
  });
}

export const NEWEST = -1;

export interface Turn {
  party: 'owner' | 'thief';
  /** The index of the stolen token; -1 is the newest. */
  pick: number;
  wait: number;
}

/** The waits before the owner's refreshes until the jar is copied, and then the moves of both. */
export interface Theft {
  past: number[];
  turns: Turn[];
}

const pastOf = (grace: number) => fc.array(fc.constantFrom(0, 1, grace, LONG_AFTER), { maxLength: 6 });

export interface TheftOptions {
  minLength?: number;
  maxLength?: number;
  /** Between refreshes of either party. */
  waits?: number[];
}

/** Owner and thief refresh in any order; by default more than a grace apart. */
export function thefts(
  grace: number,
  {
    minLength = 4,
    maxLength = 14,
    waits = [grace + 1, 2 * grace, 2 * grace + 1, LONG_AFTER],
  }: TheftOptions = {},
): fc.Arbitrary<Theft> {
  const party = fc.constantFrom<Turn['party']>('owner', 'thief');
  const turn = fc.record({ party, pick: PICK, wait: fc.constantFrom(...waits) });
  return fc.record({ past: pastOf(grace), turns: fc.array(turn, { size: 'max', minLength, maxLength }) });
}

/**
 * The thief watches, and refreshes within a grace after the owner each time, with the newest token that they have.
 */
export function shadowings(grace: number, rounds = 12): fc.Arbitrary<Theft> {
  const after = fc.array(fc.integer({ min: 0, max: grace }), { minLength: rounds, maxLength: rounds });
  return fc.record({
    past: pastOf(grace),
    turns: after.map((waits) =>
      waits.flatMap((wait): Turn[] => [
        { party: 'owner', pick: 0, wait: LONG_AFTER },
        { party: 'thief', pick: NEWEST, wait },
      ]),
    ),
  });
}

/** A refresh by either party. Without an answer the session has ended. */
export interface Use<Token> {
  party: 'owner' | 'thief';
  wait: number;
  request: Token;
  answer?: Token;
}

export class CopiedJar<Token> {
  /** All tokens that the thief has ever had. */
  readonly loot: Token[] = [];
  /** The number of refreshes of the owner since the first one of the thief; null until then. */
  ownersRefreshes: number | null = null;

  constructor(private jar: Token) {}

  /** Yields each refresh: the caller sets its answer, or the game ends. */
  *play({ past, turns }: Theft): Generator<Use<Token>> {
    for (const wait of past) {
      const use: Use<Token> = { party: 'owner', wait, request: this.jar };
      yield use;
      if (use.answer === undefined) return;
      this.jar = use.answer;
    }
    this.loot.push(this.jar);
    for (const { party, pick, wait } of turns) {
      const request = party === 'owner' ? this.jar : this.fromLoot(pick);
      const use: Use<Token> = { party, wait, request };
      if (party === 'owner' && this.ownersRefreshes !== null) this.ownersRefreshes++;
      yield use;
      if (use.answer === undefined) return;
      if (party === 'owner') this.jar = use.answer;
      else this.loot.push(use.answer);
      if (party === 'thief') this.ownersRefreshes ??= 0;
    }
  }

  private fromLoot(pick: number): Token {
    return pick < 0 ? this.loot.at(pick)! : this.loot[pick % this.loot.length]!;
  }
}
