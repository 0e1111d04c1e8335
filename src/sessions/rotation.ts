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
  /** The anchor of the generation before; null if no request within the exchange limit can present it any more. */
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
  /**
   * Its successor is known to be in the client's jar, but was minted so recently that this may be a delayed request that
   * its client has given up. Give out nothing, and leave the session as it is.
   */
  | { outcome: 'superseded' }
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

/**
 * How long after the minting of its successor a token can still arrive from a client that waits for the answer: the
 * successor is given out for one grace and lands within a third of one, and until then another tab may send a request.
 */
const lastArrival = (grace: number): number => grace + (2 * grace) / 3;

/**
 * For so many graces after its successor was minted, a token that the client has replaced is refused without ending the
 * session. A request that was given up may be so late, less the grace and the limit in which the successor lands.
 */
const SUPERSEDED_GRACES = 5;

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
 * With proof, a client may lose answers, repeat requests, and refresh from any number of tabs that share one cookie
 * jar, at any pace and in any order. It gives an exchange up after a third of the grace. A request that was given up may
 * still arrive, up to three graces after it was sent. Without proof a token works once, and its second use is a theft.
 *
 * A thief with the whole jar survives one refresh of the owner, and one more for each refresh of the owner that the
 * thief comes within a grace of. Decision 5 has the model, the two cases in which these bounds are wider, and why.
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
    return moveAnchor(state, likelyHeld(state, newest, presented, { now, grace }), proof, now);
  }
  if (isAnchor) {
    const leftBehind = state.leftAt !== null && now - state.leftAt > grace;
    if (leftBehind) return outdated(state, newest.mintedAt, { now, grace });
    return withinGrace ? repeat(state, newest) : mintStep(state, newest, now);
  }

  const isRecent =
    presented.generation === generation - 1 && state.recent !== null && includes(state.recent, presented);
  const { mintedAt } = state.anchor;
  if (isRecent && withinGrace && now - mintedAt <= lastArrival(grace)) return repeat(state, newest);
  // Generations are more than a grace apart, so this is the latest instant at which the successor can have been minted.
  const generationsSince = Math.max(0, generation - 1 - presented.generation);
  return outdated(state, mintedAt - generationsSince * grace, { now, grace });
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

/** The tokens that a jar may hold, now or soon, whose client has just shown this successor. */
function likelyHeld(
  { older }: RotationState,
  newest: Step,
  presented: RefreshPosition,
  { now, grace }: RefreshMoment,
): Step {
  if (older === null || includes(newest, presented)) return newest;
  // An earlier sibling was minted more than a grace before the older step.
  if (!includes(older, presented)) return { ...older, first: presented.sibling, last: presented.sibling };
  const mayLandLast =
    now - newest.mintedAt <= grace && newest.mintedAt - older.mintedAt <= lastArrival(grace);
  return mayLandLast ? { ...older, last: newest.last } : older;
}

const includes = (step: Step, { sibling }: RefreshPosition): boolean =>
  step.first <= sibling && sibling <= step.last;

const reuse = (state: RotationState): Rotation => ({ state, decision: { outcome: 'reuse' } });

/** For a token that the client has replaced by one that was minted then. */
function outdated(state: RotationState, successorMintedAt: number, moment: RefreshMoment): Rotation {
  return mayBeDelayed(successorMintedAt, moment)
    ? { state, decision: { outcome: 'superseded' } }
    : reuse(state);
}

/** Whether a client may have sent a token before it got the one that replaced it then. */
export const mayBeDelayed = (replacedAt: number, { now, grace }: RefreshMoment): boolean =>
  now - replacedAt <= SUPERSEDED_GRACES * grace;

const issue = (state: RotationState, newest: Step, rotated: boolean): Rotation => ({
  state,
  decision: { outcome: 'issue', token: { generation: state.generation + 1, sibling: newest.last }, rotated },
});

const repeat = (state: RotationState, newest: Step): Rotation => issue(state, newest, false);

const mint = (state: RotationState, newest: Step): Rotation => issue({ ...state, newest }, newest, true);

/** The first token of the next generation. */
const mintGeneration = (state: RotationState, proven: boolean, now: number): Rotation =>
  mint({ ...state, older: null, proven }, { first: 1, last: 1, mintedAt: now });

function moveAnchor(state: RotationState, anchor: Step, proven: boolean, now: number): Rotation {
  // The client got this token before the two last steps were minted. Every request with the former anchor that its
  // client still waits for has arrived since.
  const hasSettled = state.older !== null && anchor.last < state.older.first;
  const recent = hasSettled ? null : state.anchor;
  return mintGeneration(
    { ...state, generation: state.generation + 1, anchor, leftAt: null, recent },
    proven,
    now,
  );
}

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
