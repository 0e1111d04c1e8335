/** What the token's encoding holds (uint16). New steps are a grace apart at least: seven days of lost answers. */
export const MAX_SIBLING = 0xffff;

/** What a refresh token says: its place in the lineage of its session. */
export interface RefreshPosition {
  generation: number;
  sibling: number;
}

/** The siblings from first to last, minted within one grace. One client may hold any of them, so they are equal. */
export interface Step {
  first: number;
  last: number;
  /** The first one's minting, in ms since the epoch. */
  mintedAt: number;
}

/** The lineage of one session, all of it: what its client is known to hold, and what has been minted since. */
export interface RotationState {
  generation: number;
  /** What the client was last known to hold: one of these was seen after its grace, or at login. */
  anchor: Step;
  /** When one of its successors was seen within their grace, and the anchor no longer can be in the client's jar. */
  leftAt: number | null;
  /** The anchor of the generation before. */
  recent: Step | null;
  /** The last two steps of the generation after, minted from the anchor. Earlier ones count down to sibling 1. */
  older: Step | null;
  newest: Step | null;
  /** Whether the newest step went to a client that showed its device token. */
  proven: boolean;
}

export type RotationDecision =
  /** `rotated` is false where the newest token is said again, and nothing has changed. */
  | { outcome: 'issue'; token: RefreshPosition; rotated: boolean }
  /** No honest client presents this token any more: end the session. */
  | { outcome: 'reuse' }
  /** Newer than anything minted: the database has been restored from a backup. */
  | { outcome: 'unknown' };

export interface Rotation {
  state: RotationState;
  decision: RotationDecision;
}

export interface RefreshMoment {
  /** Read under the session's row lock; ms since the epoch. */
  now: number;
  /** `REFRESH_GRACE` in ms, counted from the minting of a step. Using its tokens never extends it. */
  grace: number;
}

/** The state at login: the anchor's token is out, and nothing has been minted from it. */
export const initialRotation = (): RotationState => ({
  generation: 1,
  anchor: { first: 0, last: 0, mintedAt: 0 },
  leftAt: null,
  recent: null,
  older: null,
  newest: null,
  proven: false,
});

export const anchorOf = ({ generation, anchor }: RotationState): RefreshPosition => ({
  generation,
  sibling: anchor.last,
});

/**
 * Decides a refresh, for a token whose MAC is right and a session that is live. `proof`: the request carries this
 * session's device token.
 *
 * With proof a client may lose answers, repeat requests, and refresh from any number of tabs that share one cookie
 * jar, at any pace and in any order, as long as no request or answer arrives later than a third of the grace after
 * its exchange began. Without proof a token works once, and its second use is a theft.
 */
export function rotate(
  state: RotationState,
  presented: RefreshPosition,
  { proof, now, grace }: RefreshMoment & { proof: boolean },
): Rotation {
  const { generation, newest } = state;
  const minted = newest?.last ?? 0;
  const isSuccessor = presented.generation === generation + 1;
  const neverMinted = isSuccessor && (presented.sibling < 1 || presented.sibling > minted);
  if (presented.generation > generation + 1 || neverMinted)
    return { state, decision: { outcome: 'unknown' } };

  const isAnchor = presented.generation === generation && includes(state.anchor, presented);
  if (newest === null) return isAnchor ? mintGeneration(state, proof, now) : reuse(state);

  // What went to a client without proof is no lost answer of one that has it.
  const likelyLostAnswer = proof && state.proven;
  if (!likelyLostAnswer) {
    const firstUse = isSuccessor && presented.sibling === newest.last;
    return firstUse ? moveAnchor(state, newest, proof, now) : reuse(state);
  }

  const withinGrace = now - newest.mintedAt <= grace;
  if (isSuccessor) {
    // One generation per grace: a late answer never takes the jar back by more than one.
    if (withinGrace && includes(newest, presented))
      return widenNewest(state, newest, presented, { now, grace });
    return moveAnchor(state, likelyHeld(state, newest, presented, withinGrace), proof, now);
  }
  if (isAnchor) {
    const leftBehind = state.leftAt !== null && now - state.leftAt > grace;
    if (leftBehind) return reuse(state);
    return withinGrace ? repeat(state, newest) : mintStep(state, newest, now);
  }

  const isRecent =
    presented.generation === generation - 1 && state.recent !== null && includes(state.recent, presented);
  // While the anchor has one step of successors, their minting is when it became the anchor.
  const anchorJustMoved = withinGrace && state.older === null;
  return isRecent && anchorJustMoved ? repeat(state, newest) : reuse(state);
}

/**
 * A new pair for a client that has just authenticated again and cannot show its refresh token: as if it had presented
 * the anchor with proof. It never shares a token with a client that came without proof.
 */
export function reissue(state: RotationState, { now, grace }: RefreshMoment): Rotation {
  const { newest } = state;
  if (newest === null) return mintGeneration(state, true, now);
  const withinGrace = state.proven && now - newest.mintedAt <= grace;
  return withinGrace ? repeat(state, newest) : mintStep(state, newest, now);
}

/** What a jar may hold, now or soon, that has just shown this successor. */
function likelyHeld(
  { older }: RotationState,
  newest: Step,
  presented: RefreshPosition,
  withinGrace: boolean,
): Step {
  if (includes(newest, presented)) return newest;
  if (withinGrace && older !== null && includes(older, presented)) return { ...newest, first: older.first };
  return { ...newest, first: presented.sibling, last: presented.sibling };
}

const includes = (step: Step, { sibling }: RefreshPosition): boolean =>
  step.first <= sibling && sibling <= step.last;

const reuse = (state: RotationState): Rotation => ({ state, decision: { outcome: 'reuse' } });

const issue = (state: RotationState, newest: Step, rotated: boolean): Rotation => ({
  state,
  decision: { outcome: 'issue', token: { generation: state.generation + 1, sibling: newest.last }, rotated },
});

const repeat = (state: RotationState, newest: Step): Rotation => issue(state, newest, false);

const mint = (state: RotationState, newest: Step): Rotation => issue({ ...state, newest }, newest, true);

/** The first token of the next generation. */
const mintGeneration = (state: RotationState, proven: boolean, now: number): Rotation =>
  mint({ ...state, older: null, proven }, { first: 1, last: 1, mintedAt: now });

const moveAnchor = (state: RotationState, anchor: Step, proven: boolean, now: number): Rotation =>
  mintGeneration(
    { ...state, generation: state.generation + 1, anchor, leftAt: null, recent: state.anchor },
    proven,
    now,
  );

/** For a client that has lost its answer: a step beside the newest. Whichever is seen first leaves the other behind. */
function mintStep(state: RotationState, newest: Step, now: number): Rotation {
  if (newest.last === MAX_SIBLING) return reuse(state);
  const next = newest.last + 1;
  return mint({ ...state, older: newest, proven: true }, { first: next, last: next, mintedAt: now });
}

/** One more of the newest step, so that each of its tokens too works once for whoever has no proof. */
function widenNewest(
  state: RotationState,
  newest: Step,
  presented: RefreshPosition,
  { now, grace }: RefreshMoment,
): Rotation {
  const alreadyAnswered = presented.sibling < newest.last;
  if (alreadyAnswered || newest.last === MAX_SIBLING) return repeat(state, newest);
  // The anchor was given out for one grace, and in less than another its last answer has come in.
  const anchorHasLanded = now - state.anchor.mintedAt > 2 * grace;
  const leftAt = state.leftAt ?? (anchorHasLanded ? now : null);
  return mint({ ...state, leftAt }, { ...newest, last: newest.last + 1 });
}
