import {
  initialRotation,
  rotate,
  rotateForKey,
  type RefreshMoment,
  type RefreshPosition,
  type RotationDecision,
  type RotationState,
} from '../../src/sessions/refresh/rotation.js';
import { holdsKey, type KeyProof } from '../../src/sessions/binding/session-binding.js';

/** The server's decision about a refresh. `unproven`: the session is bound, and the request lacks its device key. */
export type Decision = RotationDecision | { outcome: 'unproven' };

/**
 * A rule for refresh tokens, as a pure function of the shape of `rotate`. A session begins with generation 1,
 * sibling 0.
 */
export interface Strategy<State = any> {
  name: string;
  /** The rule, in a sentence. */
  rule: string;
  /** Whether a request without the device key is refused. */
  needsKey?: true;
  initial(): State;
  rotate(
    state: State,
    presented: RefreshPosition,
    moment: RefreshMoment & { proof: boolean; keyProof: KeyProof | null },
  ): { state: State; decision: Decision };
}

export const LOGIN: RefreshPosition = { generation: 1, sibling: 0 };

const isSame = (a: RefreshPosition, b: RefreshPosition): boolean =>
  a.generation === b.generation && a.sibling === b.sibling;

const issue = (token: RefreshPosition): RotationDecision => ({ outcome: 'issue', token, rotated: true });
const REUSE: RotationDecision = { outcome: 'reuse' };

const singleUse: Strategy<{ current: RefreshPosition }> = {
  name: 'strict single use',
  rule: 'A token works once. Its second use ends the session.',
  initial: () => ({ current: LOGIN }),
  rotate(state, presented) {
    if (!isSame(presented, state.current)) return { state, decision: REUSE };
    const current = { generation: presented.generation + 1, sibling: 0 };
    return { state: { current }, decision: issue(current) };
  },
};

/** `used`: the time at which each generation was used. */
const graceWindow: Strategy<{ current: RefreshPosition; used: Record<number, number> }> = {
  name: 'grace window',
  rule: 'A token works once. For 10 s after that, it gets the newest token. Later use ends the session.',
  initial: () => ({ current: LOGIN, used: {} }),
  rotate(state, presented, { now, grace }) {
    const usedAt = state.used[presented.generation];
    if (usedAt !== undefined && now - usedAt <= grace) return { state, decision: issue(state.current) };
    if (!isSame(presented, state.current)) return { state, decision: REUSE };
    const current = { generation: presented.generation + 1, sibling: 0 };
    return {
      state: { current, used: { ...state.used, [presented.generation]: now } },
      decision: issue(current),
    };
  },
};

const parentUntilChild: Strategy<{ parent: RefreshPosition; children: number }> = {
  name: 'parent until child',
  rule: 'A token works until one successor is used. It and the other successors then end the session.',
  initial: () => ({ parent: LOGIN, children: 0 }),
  rotate({ parent, children }, presented) {
    const isChild = presented.generation === parent.generation + 1;
    if (!isChild && !isSame(presented, parent)) return { state: { parent, children }, decision: REUSE };
    const state = isChild ? { parent: presented, children: 1 } : { parent, children: children + 1 };
    const child = { generation: state.parent.generation + 1, sibling: state.children };
    return { state, decision: issue(child) };
  },
};

const drawbridge: Strategy<RotationState> = {
  name: 'Drawbridge',
  rule: '`rotate` of `src/sessions/refresh/rotation.ts`, with its grace of 10 s and its device token.',
  initial: initialRotation,
  rotate,
};

const SESSION_ID = '3f0c2f0e-4f5a-4d2a-9c67-6c9d1c1b7a10';
/** The proof of a bound cookie of the session. */
export const BOUND_COOKIE = { carrier: 'dbsc', sessionId: SESSION_ID, version: 1 } satisfies KeyProof;
const BOUND_SESSION = {
  session: { id: SESSION_ID, transport: 'cookie', binding: { version: 1, boundAt: 0 } },
  deviceKey: null, // a bound cookie is compared with the binding
} as const;

const bound: Strategy<RotationState> = {
  name: 'Drawbridge, bound client',
  rule: '`rotateForKey` of the same file, behind `holdsKey` of `src/sessions/binding/session-binding.ts`, as `RefreshService` has them.',
  needsKey: true,
  initial: initialRotation,
  rotate: (state, presented, moment) =>
    holdsKey(BOUND_SESSION, moment.keyProof, { deviceBinding: 'offer' })
      ? rotateForKey(state, presented, moment)
      : { state, decision: { outcome: 'unproven' } },
};

export const STRATEGIES = {
  singleUse,
  graceWindow,
  parentUntilChild,
  drawbridge,
  bound,
} satisfies Record<string, Strategy>;
export type StrategyName = keyof typeof STRATEGIES;
