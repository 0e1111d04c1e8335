import {
  anchorOf,
  initialRotation,
  rotate,
  type RefreshPosition,
  type RotationState,
} from '../../../src/sessions/rotation.js';

export interface Moment {
  /** Whether the request shows the session's device token. */
  proof: boolean;
  /** Milliseconds. */
  now: number;
}

/** One way to rotate refresh tokens. Its function is pure; `null` ends the session, for the thief and for the owner. */
export interface Strategy<State, Token> {
  name: string;
  login(now: number): { state: State; token: Token };
  present(state: State, token: Token, moment: Moment): { state: State; token: Token } | null;
}

export const GRACE = 10_000;

/** RFC 9700 4.14.2 to the letter: a token works once, and its second use ends the session. */
export const strictSingleUse: Strategy<number, number> = {
  name: 'strict single use',
  login: () => ({ state: 0, token: 0 }),
  present: (current, token) => (token === current ? { state: token + 1, token: token + 1 } : null),
};

interface Windowed {
  current: number;
  /** When the predecessor of the current token was used. */
  rotatedAt: number;
}

/** As providers offer it: for 10 s after its use the predecessor gives the current token once more. */
export const graceWindow: Strategy<Windowed, number> = {
  name: 'a grace window of 10 s',
  login: () => ({ state: { current: 0, rotatedAt: -Infinity }, token: 0 }),
  present: (state, token, { now }) => {
    if (token === state.current) return { state: { current: token + 1, rotatedAt: now }, token: token + 1 };
    const withinGrace = token === state.current - 1 && now - state.rotatedAt <= GRACE;
    return withinGrace ? { state, token: state.current } : null;
  },
};

/** The predecessor gives the current token again for as long as nobody has used that one. */
export const parentUntilChild: Strategy<number, number> = {
  name: 'the parent is good until its child is used',
  login: () => ({ state: 0, token: 0 }),
  present: (current, token) => {
    if (token === current) return { state: token + 1, token: token + 1 };
    return token === current - 1 ? { state: current, token: current } : null;
  },
};

/** What is shipped. */
export const ours: Strategy<RotationState, RefreshPosition> = {
  name: 'Drawbridge',
  login: () => ({ state: initialRotation(), token: anchorOf(initialRotation()) }),
  present: (before, token, { proof, now }) => {
    const { state, decision } = rotate(before, token, { proof, now, grace: GRACE });
    return decision.outcome === 'issue' ? { state, token: decision.token } : null;
  },
};

export const STRATEGIES = [strictSingleUse, graceWindow, parentUntilChild, ours] as const;
