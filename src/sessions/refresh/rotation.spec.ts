import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  CopiedJar,
  doubleUses,
  exchangeLimitOf,
  LONG_AFTER,
  PICK,
  SharedJar,
  tabSchedules,
  thefts,
} from '../../../test/support/refresh-schedules.js';
import {
  anchorOf,
  initialRotation,
  MAX_SIBLING,
  rotate,
  type RefreshPosition,
  type Rotation,
  type RotationState,
} from './rotation.js';

// Real: rotation.ts. Modelled: its caller, which ends a session on reuse; the clock; the network; the cookie jar.

const GRACE = 9_000;
const EXCHANGE_LIMIT = exchangeLimitOf(GRACE);

type Refusal = 'reuse' | 'superseded' | 'unknown' | 'ended';

class Session {
  state: RotationState = initialRotation();
  now = 1_750_000_000_000;
  ended = false;
  /** Every token that was issued, beginning with the login's token. */
  readonly issued: RefreshPosition[] = [anchorOf(this.state)];

  wait(ms: number): this {
    this.now += ms;
    return this;
  }

  /** An ended session refuses everything. So `ended` describes both the response and the state. */
  present(token: RefreshPosition | undefined, proof: boolean): RefreshPosition | Refusal {
    if (this.ended) return 'ended';
    if (token === undefined) throw new Error('the test presents a token that was never issued');
    return this.follow(rotate(this.state, token, { proof, now: this.now, grace: GRACE }));
  }

  /** Refreshes with proof; throws when the token is refused. */
  refresh(token: RefreshPosition): RefreshPosition {
    return expectIssued(this.present(token, true));
  }

  get login(): RefreshPosition {
    return this.issued[0]!;
  }

  get newest(): RefreshPosition {
    return this.issued.at(-1)!;
  }

  private follow({ state, decision }: Rotation): RefreshPosition | Refusal {
    this.state = frozen(state);
    if (decision.outcome === 'reuse') this.ended = true;
    if (decision.outcome !== 'issue') return decision.outcome;
    const known = this.issued.some((token) => same(token, decision.token));
    expect(decision.rotated).toBe(!known);
    if (!known) this.issued.push(decision.token);
    return decision.token;
  }
}

const same = (a: RefreshPosition, b: RefreshPosition): boolean =>
  a.generation === b.generation && a.sibling === b.sibling;

/** A refusal that does not end the session leaves the client in the same state as a lost response. */
const answerOf = (answer: RefreshPosition | Refusal): RefreshPosition | undefined =>
  typeof answer === 'string' ? undefined : answer;

/** Makes any later mutation of the state throw. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

function expectIssued(answer: ReturnType<Session['present']>): RefreshPosition {
  if (typeof answer === 'string') throw new Error(`refused: ${answer}`);
  return answer;
}

/** A session after its login, one refresh, and a refresh of the successor long after. No request is in flight. */
function settledSession(): {
  session: Session;
  before: RefreshPosition;
  anchor: RefreshPosition;
  successor: RefreshPosition;
} {
  const session = new Session();
  const before = session.login;
  const anchor = session.refresh(before);
  const successor = session.wait(LONG_AFTER).refresh(anchor);
  return { session, before, anchor, successor };
}

describe('the response to each refresh token', () => {
  test('a token more than one generation ahead is unknown, because the database was restored, and the session goes on', () => {
    const { session, successor } = settledSession();
    const ahead = { ...successor, generation: successor.generation + 1 };
    expect(session.present(ahead, true)).toBe('unknown');
    expect(session.present(ahead, false)).toBe('unknown');
    expect(session.ended).toBe(false);
  });

  test.each([-1, 0, 2, MAX_SIBLING])(
    'a token with sibling %d of the next generation, which was never minted, is unknown',
    (sibling) => {
      const { session, successor } = settledSession();
      expect(session.present({ ...successor, sibling }, true)).toBe('unknown');
    },
  );

  test('a successor is unknown when none has been minted', () => {
    expect(new Session().present({ generation: 2, sibling: 1 }, true)).toBe('unknown');
  });

  test.each([true, false])(
    'a successor becomes the anchor and gets its own successor (proof: %s)',
    (proof) => {
      const { session, successor } = settledSession();
      const next = expectIssued(session.wait(LONG_AFTER).present(successor, proof));
      expect(anchorOf(session.state)).toEqual(successor);
      expect(next).toEqual({ generation: successor.generation + 1, sibling: 1 });
    },
  );

  test.each([true, false])('the anchor without a successor gets the first one (proof: %s)', (proof) => {
    const session = new Session();
    expect(session.present(session.login, proof)).toEqual({ generation: 2, sibling: 1 });
  });

  test('the anchor, with proof and a successor minted within the grace period, gets the same successor', () => {
    const { session, anchor, successor } = settledSession();
    expect(session.wait(GRACE).present(anchor, true)).toEqual(successor);
  });

  test('the anchor, with proof and a successor minted more than a grace period ago, gets the next sibling', () => {
    const { session, anchor, successor } = settledSession();
    const sibling = { ...successor, sibling: 2 };
    expect(session.wait(GRACE + 1).present(anchor, true)).toEqual(sibling);
    expect(session.wait(GRACE).present(anchor, true)).toEqual(sibling);
    expect(session.wait(1).present(anchor, true)).toEqual({ ...successor, sibling: 3 });
  });

  test('the previous anchor, with proof, gets the newest token for as long as a request may be in flight', () => {
    const session = new Session();
    const before = session.login;
    const anchor = session.refresh(before);
    const successor = session.wait(GRACE + 1).refresh(anchor);
    expect(session.wait((2 * GRACE) / 3 - 1).present(before, true)).toEqual(successor);
    expect(session.wait(1).present(before, true)).toBe('superseded');
  });

  test('the previous anchor counts as stolen at once when its successor was minted long before its use [REF-06]', () => {
    const { session, before } = settledSession();
    expect(session.present(before, true)).toBe('reuse');
  });

  test('a replaced token is superseded until five grace periods after its successor was minted, and then counts as stolen', () => {
    const session = new Session();
    const tokens = [session.login];
    for (let i = 0; i < 5; i++) tokens.push(session.wait(GRACE + 1).refresh(tokens.at(-1)!));
    // Generations are one grace period and a millisecond apart. The successor of the first token was minted four of
    // these ago.
    const age = 4 * (GRACE + 1);
    const { state } = session;
    expect(session.present(tokens[0], true)).toBe('superseded');
    expect(session.wait(5 * GRACE - age).present(tokens[0], true)).toBe('superseded');
    expect(session.state).toEqual(state);
    expect(session.wait(4).present(tokens[0], true)).toBe('reuse');
  });

  test('a superseded token without proof counts as stolen', () => {
    const session = new Session();
    const anchor = session.refresh(session.login);
    session.wait(GRACE + 1).refresh(anchor);
    expect(session.wait(GRACE).present(session.login, false)).toBe('reuse');
  });

  test('a token two anchors back counts as stolen at once [REF-06]', () => {
    const { session, before, successor } = settledSession();
    session.wait(LONG_AFTER).refresh(successor);
    expect(session.present(before, true)).toBe('reuse');
  });

  test.each(['before', 'anchor'] as const)('a token without proof (%s) counts as stolen at once', (which) => {
    const { session, ...tokens } = settledSession();
    expect(session.present(tokens[which], false)).toBe('reuse');
  });

  test('the previous anchor counts as stolen after a second step was minted, however new that step is', () => {
    const { session, before, anchor } = settledSession();
    session.wait(GRACE + 1).refresh(anchor);
    expect(session.present(before, true)).toBe('reuse');
  });

  test.each([
    ['a generation later', 0],
    ['two generations later', 1],
  ])('a sibling that another one has replaced counts as stolen %s', (_, moves) => {
    const { session, anchor, successor: lost } = settledSession();
    let token = session.wait(LONG_AFTER).refresh(anchor);
    for (let i = 0; i <= moves; i++) token = session.wait(LONG_AFTER).refresh(token);
    expect(session.present(lost, true)).toBe('reuse');
  });

  test('a successor within the grace period of its minting gets one more sibling of the same step, however often it is presented', () => {
    const { session, successor } = settledSession();
    const twin = { ...successor, sibling: 2 };
    expect(session.present(successor, true)).toEqual(twin);
    expect(session.present(successor, true)).toEqual(twin);
    expect(session.present(twin, true)).toEqual({ ...successor, sibling: 3 });
    expect(session.state.generation).toBe(successor.generation - 1);
  });

  test('the anchor, more than one grace period after the use of its successor, is superseded and later counts as stolen', () => {
    const { session, anchor, successor } = settledSession();
    session.refresh(successor);
    expect(session.wait(GRACE + 1).present(anchor, true)).toBe('superseded');
    expect(session.wait(4 * GRACE - 1).present(anchor, true)).toBe('superseded');
    expect(session.wait(1).present(anchor, true)).toBe('reuse');
  });

  test('the last sibling that fits the encoding is not exceeded, and a client that loses 65,535 responses loses its session', () => {
    const { session, anchor, successor } = settledSession();
    const step = { first: MAX_SIBLING, last: MAX_SIBLING, mintedAt: session.now };
    session.state = { ...session.state, newest: step };
    const last = { ...successor, sibling: MAX_SIBLING };
    session.issued.push(last);
    expect(session.present(last, true)).toEqual(last);
    expect(session.wait(GRACE + 1).present(anchor, true)).toBe('reuse');
  });

  test('repeated requests never extend the grace period', () => {
    const { session, anchor } = settledSession();
    const answers = Array.from({ length: 12 }, () => session.wait(GRACE / 6).refresh(anchor).sibling);
    expect(answers).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
  });
});

describe('a client with its device token is never logged out', () => {
  test('a client with its device token is not logged out by up to four tabs that lose, repeat and reorder requests', () => {
    fc.assert(
      fc.property(tabSchedules({ grace: GRACE }), (schedule) => {
        const session = new Session();
        for (const event of new SharedJar(session.login, EXCHANGE_LIMIT).play(schedule)) {
          if ('wait' in event) session.wait(event.wait);
          else event.answer = session.refresh(event.request);
        }
        expect(session.ended).toBe(false);
      }),
      { numRuns: 6_000 },
    );
  });

  test('a client with its device token is not logged out by requests that one tab gave up and that arrive within three grace periods', () => {
    const schedules = tabSchedules({ grace: GRACE, maxTabs: 1, losses: 2, delays: 4 });
    fc.assert(
      fc.property(schedules, (schedule) => {
        const session = new Session();
        const jar = new SharedJar(session.login, EXCHANGE_LIMIT, 3 * GRACE);
        for (const event of jar.play(schedule)) {
          if ('wait' in event) session.wait(event.wait);
          else event.answer = answerOf(session.present(event.request, true));
        }
        expect(session.ended).toBe(false);
        session.refresh(jar.holds);
      }),
      { numRuns: 6_000 },
    );
  });

  test('a client with its device token is not logged out by an abandoned request of any of four tabs, at any pace', () => {
    const paces = [[GRACE + 1, LONG_AFTER], [GRACE / 2], [2 * GRACE, 3 * GRACE]];
    const schedules = fc.oneof(
      ...paces.map((absences) => tabSchedules({ grace: GRACE, losses: 2, delays: 4, absences })),
    );
    fc.assert(
      fc.property(schedules, (schedule) => {
        const session = new Session();
        const jar = new SharedJar(session.login, EXCHANGE_LIMIT, 3 * GRACE);
        for (const event of jar.play(schedule)) {
          if ('wait' in event) session.wait(event.wait);
          else {
            event.answer = answerOf(session.present(event.request, true));
            // The exception of decision 5: two responses arrived in the wrong order, and a request between them was
            // late.
            if (event.isDelayed) expect(session.ended).toBe(false);
            else fc.pre(event.answer !== undefined);
          }
        }
      }),
      { numRuns: 6_000 },
    );
  });

  test('a request that arrives three grace periods late does not log the client out while it refreshes every third of one', () => {
    const { session, successor } = settledSession();
    const delayed = successor;
    let token = session.wait(LONG_AFTER).refresh(successor);
    for (let i = 0; i < 9; i++) token = session.wait(GRACE / 3).refresh(token);
    expect(session.present(delayed, true)).toBe('superseded');
    session.refresh(token);
  });

  test('a hundred refreshes at once get one token of one generation', () => {
    const { session, successor } = settledSession();
    session.wait(LONG_AFTER);
    const answers = Array.from({ length: 100 }, () => session.refresh(successor));
    expect(new Set(answers.map(({ sibling }) => sibling)).size).toBe(1);
    expect(session.state.generation).toBe(successor.generation);
  });

  test('a client that refreshes as fast as it can advances one generation per grace period', () => {
    const { session, successor } = settledSession();
    const before = session.state.generation;
    let token = successor;
    for (let i = 0; i < 500; i++) token = session.wait(GRACE / 50).refresh(token);
    expect(session.state.generation - before).toBe(9);
  });

  test('a response that arrives after those of two later refreshes does not log the client out', () => {
    const { session, successor } = settledSession();
    session.wait(LONG_AFTER);
    const slow = session.refresh(successor);
    session.refresh(session.refresh(slow));
    session.wait(LONG_AFTER).refresh(slow);
  });

  test("a request in flight during the use of another request's late response does not log the client out", () => {
    const { session, successor } = settledSession();
    session.wait(LONG_AFTER).refresh(successor);
    const answer = session.wait(GRACE - 1).refresh(successor);
    session.wait(2).refresh(answer);
    session.wait(EXCHANGE_LIMIT).refresh(successor);
  });

  test('a request in flight during the use of the successor, at the end of the grace period, does not log the client out', () => {
    const { session, anchor, successor } = settledSession();
    session.wait(GRACE).refresh(successor);
    session.wait(EXCHANGE_LIMIT).refresh(anchor);
  });

  test("a request in flight during the use of a second attempt's response does not log the client out", () => {
    const { session, anchor } = settledSession();
    const secondTry = session.wait(GRACE + 1).refresh(anchor);
    session.wait(GRACE + 1).refresh(secondTry);
    session.wait(EXCHANGE_LIMIT).refresh(anchor);
  });

  test('a response in flight at the end of the grace period does not log the client out', () => {
    const { session, successor } = settledSession();
    const late = session.wait(GRACE).refresh(successor);
    session.wait(1).refresh(successor);
    session.wait(LONG_AFTER).refresh(late);
  });

  test.each([
    ['the slower', 0, 1],
    ['the faster', 1, 0],
  ])(
    'two siblings in flight at once do not log the client out when %s arrives last',
    (_, used, landsLast) => {
      const { session, successor } = settledSession();
      const siblings = [
        session.wait(LONG_AFTER).refresh(successor),
        session.wait(GRACE + 1).refresh(successor),
      ];
      session.refresh(siblings[used]!);
      session.wait(LONG_AFTER).refresh(siblings[landsLast]!);
    },
  );

  test('a last response to the anchor that arrives after two later refreshes does not log the client out', () => {
    const { session, successor: anchor } = settledSession();
    session.wait(GRACE + 1);
    session.refresh(session.refresh(anchor));
    session.wait(LONG_AFTER).refresh(anchor);
  });
});

describe('a client without a device token', () => {
  const refreshes = fc.array(fc.record({ pick: PICK, wait: fc.constantFrom(0, 1, GRACE, LONG_AFTER) }), {
    maxLength: 30,
  });

  test('a client without a device token can use each token once, in order, and any other use ends the session', () => {
    fc.assert(
      fc.property(refreshes, (schedule) => {
        const session = new Session();
        for (const { pick, wait } of schedule) {
          const token = session.issued[Math.max(0, session.issued.length - 1 - Math.floor(pick / 5))]!;
          const firstUse = !session.ended && same(token, session.newest);
          expect(typeof session.wait(wait).present(token, false) === 'object').toBe(firstUse);
          expect(session.ended).toBe(!firstUse);
        }
      }),
    );
  });
});

describe('a thief who copied the refresh token alone', () => {
  test('a thief with the refresh token alone is caught at the first double use, in either order and at any speed', () => {
    fc.assert(
      fc.property(doubleUses(GRACE), ({ past, thiefFirst, wait, between }) => {
        const session = new Session();
        let jar = session.login;
        for (const { wait, answerLost } of past) {
          const answer = session.wait(wait).refresh(jar);
          if (!answerLost) jar = answer;
        }
        session.wait(wait).present(jar, !thiefFirst);
        session.wait(between).present(jar, thiefFirst);
        expect(session.ended).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a thief who copied the whole jar', () => {
  test('a thief with the whole jar is out after two owner refreshes, unless the thief comes within a grace period of one', () => {
    fc.assert(
      fc.property(thefts(GRACE), (schedule) => {
        const session = new Session();
        const theft = new CopiedJar(session.login);
        for (const use of theft.play(schedule)) {
          const answer = session.wait(use.wait).present(use.request, true);
          // An owner who is refused tries again, and then the theft shows. A thief who is refused has gained nothing.
          if (answer === 'superseded' && use.party === 'owner')
            return expect(answerTo(session, use.request, 5 * GRACE + 1)).toBe('reuse');
          if (answer === 'superseded') use.answer = use.request;
          else if (typeof answer === 'string') break;
          else use.answer = answer;
          if (theft.ownersRefreshes === 2) break;
        }
        if (session.ended || theft.ownersRefreshes !== 2) return;
        for (const token of theft.loot) {
          expect(answerTo(session, token)).not.toBe('issue');
          expect(answerTo(session, token, 5 * GRACE + 1)).toBe('reuse');
        }
      }),
      { numRuns: 4_000 },
    );
  });

  test('a thief with the whole jar who polls all night is out after the owner has refreshed twice', () => {
    const { session, successor: stolen } = settledSession();
    let jar = stolen;
    const poll = (): void => {
      for (let i = 0; i < 50; i++) session.wait(GRACE + 1).present(stolen, true);
    };
    poll();
    jar = session.wait(GRACE + 1).refresh(jar);
    poll();
    session.wait(GRACE + 1).present(jar, true);
    poll();
    expect(session.ended).toBe(true);
  });

  test('a thief within a grace period of every second owner refresh is out after the third refresh', () => {
    const { session, successor: stolen } = settledSession();
    const first = session.wait(LONG_AFTER).refresh(stolen);
    session.wait(LONG_AFTER).refresh(first);
    expect(session.wait(1).present(stolen, true)).toBe('reuse');
  });

  test('a thief who polls before the owner refresh that the thief comes close to is out as well', () => {
    const { session, successor: stolen } = settledSession();
    const first = session.wait(LONG_AFTER).refresh(stolen);
    const polled = session.wait(LONG_AFTER).refresh(stolen);
    session.wait(GRACE / 2).refresh(first);
    expect(session.wait(1).present(polled, true)).toBe('reuse');
  });

  test('a thief who polls twice before the owner refresh that the thief comes close to is out as well', () => {
    const { session, successor: stolen } = settledSession();
    const first = session.wait(LONG_AFTER).refresh(stolen);
    for (let i = 0; i < 2; i++) session.wait(GRACE + 1).refresh(stolen);
    session.wait(GRACE / 2).refresh(first);
    expect(session.wait(1).present(stolen, true)).toBe('superseded');
  });
});

/** The outcome for a token after some time, when no request is in flight, in a copy of the session. */
function answerTo(
  { state, now }: Session,
  token: RefreshPosition,
  later = GRACE + 1,
): Rotation['decision']['outcome'] {
  return rotate(state, token, { proof: true, now: now + later, grace: GRACE }).decision.outcome;
}

describe('one live lineage', () => {
  const chaos = fc.array(
    fc.record({ pick: PICK, proof: fc.boolean(), wait: fc.constantFrom(0, 1, GRACE, GRACE + 1, LONG_AFTER) }),
    { maxLength: 40 },
  );

  test('after two refreshes of one client alone, all other tokens of the session are refused', () => {
    fc.assert(
      fc.property(chaos, PICK, (schedule, survivor) => {
        const session = new Session();
        for (const { pick, proof, wait } of schedule) {
          session.wait(wait);
          const token = session.issued[Math.max(0, session.issued.length - 1 - (pick % 4))]!;
          // Only the requests that keep the session alive; other properties cover the rest.
          const { decision } = rotate(session.state, token, { proof, now: session.now, grace: GRACE });
          if (decision.outcome === 'issue') session.present(token, proof);
        }
        const live = session.issued.filter((token) => answerTo(session, token) === 'issue');
        const first = session.wait(GRACE + 1).refresh(live[survivor % live.length]!);
        const second = session.wait(GRACE + 1).refresh(first);
        const stillLive = session.issued.filter((token) => answerTo(session, token) === 'issue');
        expect(stillLive).toEqual([first, second]);
      }),
      { numRuns: 2_000 },
    );
  });
});
