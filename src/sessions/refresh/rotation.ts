/**
 * The largest number that the token's encoding can carry (uint16). New steps are at least one grace period apart, so
 * they last for seven days of lost responses.
 */
export const MAX_SIBLING = 0xffff;

/** The position of a refresh token in the rotation of its session. */
export interface RefreshPosition {
  generation: number;
  sibling: number;
}

/**
 * Sibling tokens from first to last, minted within one grace period. The client may have any of them, so they are
 * equivalent.
 */
export interface Step {
  first: number;
  last: number;
  /** When the first sibling was minted, in milliseconds since the epoch. */
  mintedAt: number;
}

/**
 * The whole rotation state of one session: the tokens that its client is known to have, and the tokens minted since.
 */
export interface RotationState {
  generation: number;
  /**
   * The tokens that the client was last known to have. One of them was presented after its grace period, or issued at
   * login.
   */
  anchor: Step;
  /**
   * When a successor was presented within its grace period, at a time when the client's jar could no longer contain
   * the anchor.
   */
  leftAt: number | null;
  /**
   * The anchor of the previous generation; null if no request within the time limit of an exchange can still present
   * it.
   */
  recent: Step | null;
  /**
   * The last two steps of the next generation, minted from the anchor. Earlier steps have the siblings below them,
   * down to 1.
   */
  older: Step | null;
  newest: Step | null;
  /** Whether the newest step was issued to a client that presented its device token. */
  proven: boolean;
}

export type RotationDecision =
  /** `rotated` is false when the newest token is issued again and the state has not changed. */
  | { outcome: 'issue'; token: RefreshPosition; rotated: boolean }
  /** No honest client can still present this token: end the session. */
  | { outcome: 'reuse' }
  /**
   * The client's jar is known to contain the token's successor. The successor was minted so recently that this may be
   * a delayed request, which the client has given up. Issue nothing and let the session go on.
   */
  | { outcome: 'superseded' }
  /** Newer than any minted token: the database was restored from a backup. */
  | { outcome: 'unknown' };

export interface Rotation {
  state: RotationState;
  decision: RotationDecision;
}

/** The time of a refresh, and the grace period. */
export interface RefreshMoment {
  /** Read under the session's row lock; milliseconds since the epoch. */
  now: number;
  /** `REFRESH_GRACE` in milliseconds, counted from the minting of a step. Use of the step's tokens never extends it. */
  grace: number;
}

/**
 * How long after its successor was minted a token can still arrive from a client that waits for the response. The
 * server issues the successor for one grace period, and it arrives within a third of one. Until then another tab may
 * send a request.
 */
const lastArrival = (grace: number): number => grace + (2 * grace) / 3;

/**
 * For this many grace periods after its successor was minted, a replaced token is refused without ending the session.
 * An abandoned request may be late by this time, minus the grace period and the time in which the successor arrives.
 */
const SUPERSEDED_GRACES = 5;

/** The state at login: the anchor's token has been issued, and nothing has been minted from it. */
export const initialRotation = (): RotationState => ({
  generation: 1,
  anchor: { first: 0, last: 0, mintedAt: 0 },
  leftAt: null,
  recent: null,
  older: null,
  newest: null,
  proven: false,
});

/** The position of the anchor's last token. */
export const anchorOf = ({ generation, anchor }: RotationState): RefreshPosition => ({
  generation,
  sibling: anchor.last,
});

/**
 * Decides a refresh. The token's MAC must be right and the session live. `proof`: the request carries the device
 * token of this session.
 *
 * With proof, a client may lose responses and repeat requests. It may refresh from any number of tabs with one cookie
 * jar, at any pace and in any order. It abandons an exchange after a third of the grace period. An abandoned request may
 * still arrive, up to three grace periods after it was sent. Without proof a token works once, and a second use
 * counts as theft.
 *
 * A thief with the whole jar survives one refresh of the owner. Each refresh of the owner that the thief follows
 * within a grace period allows one more. Decision 5 describes the model, the two cases with wider bounds, and the
 * reasons.
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

  // A token that was issued without proof cannot be the lost response of a client with proof.
  const likelyLostAnswer = proof && state.proven;
  if (!likelyLostAnswer) {
    const firstUse = isSuccessor && presented.sibling === newest.last;
    return firstUse ? moveAnchor(state, newest, proof, now) : reuse(state);
  }

  const withinGrace = now - newest.mintedAt <= grace;
  if (isSuccessor) {
    // At most one generation per grace period: a late response never sets the jar back by more than one generation.
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
  // Generations are more than one grace period apart. So this is the latest time at which the successor can have been
  // minted.
  const generationsSince = Math.max(0, generation - 1 - presented.generation);
  return outdated(state, mintedAt - generationsSince * grace, { now, grace });
}

/**
 * Same as {@link rotate}, for a client that proves the device key of its session (`binding/session-binding.ts`). A copy on
 * another device cannot prove it. So a token that would count as a copy is a late one of this client, which gets the newest
 * token again: with a device key, no schedule of lost, late or parallel requests ends the session.
 */
export function rotateForKey(
  state: RotationState,
  presented: RefreshPosition,
  moment: RefreshMoment,
): Rotation {
  const rotation = rotate(state, presented, { ...moment, proof: true });
  if (rotation.decision.outcome !== 'reuse') return rotation;
  const { newest } = state;
  if (newest !== null) return repeat(state, newest);
  return { state, decision: { outcome: 'issue', token: anchorOf(state), rotated: false } };
}

/** The tokens that a client's jar may contain, now or soon, after the client has presented this successor. */
function likelyHeld(
  { older }: RotationState,
  newest: Step,
  presented: RefreshPosition,
  { now, grace }: RefreshMoment,
): Step {
  if (older === null || includes(newest, presented)) return newest;
  // An earlier sibling was minted more than one grace period before the older step.
  if (!includes(older, presented)) return { ...older, first: presented.sibling, last: presented.sibling };
  const mayLandLast =
    now - newest.mintedAt <= grace && newest.mintedAt - older.mintedAt <= lastArrival(grace);
  return mayLandLast ? { ...older, last: newest.last } : older;
}

const includes = (step: Step, { sibling }: RefreshPosition): boolean =>
  step.first <= sibling && sibling <= step.last;

const reuse = (state: RotationState): Rotation => ({ state, decision: { outcome: 'reuse' } });

/** Decides for a token that the client has replaced by a successor minted at that time. */
function outdated(state: RotationState, successorMintedAt: number, moment: RefreshMoment): Rotation {
  return mayBeDelayed(successorMintedAt, moment)
    ? { state, decision: { outcome: 'superseded' } }
    : reuse(state);
}

/** Whether a client may have sent a token before it received the successor that replaced it. */
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
  // The client received this token before the last two steps were minted. Requests with the previous anchor whose
  // client still waits have all arrived since.
  const hasSettled = state.older !== null && anchor.last < state.older.first;
  const recent = hasSettled ? null : state.anchor;
  return mintGeneration(
    { ...state, generation: state.generation + 1, anchor, leftAt: null, recent },
    proven,
    now,
  );
}

/**
 * For a client that has lost its response: mints a step next to the newest one. The first of the two that is
 * presented replaces the other.
 */
function mintStep(state: RotationState, newest: Step, now: number): Rotation {
  if (newest.last === MAX_SIBLING) return reuse(state);
  const next = newest.last + 1;
  return mint({ ...state, older: newest, proven: true }, { first: next, last: next, mintedAt: now });
}

/** Adds one sibling to the newest step, so that each of its tokens works once for a client without proof. */
function widenNewest(
  state: RotationState,
  newest: Step,
  presented: RefreshPosition,
  { now, grace }: RefreshMoment,
): Rotation {
  const alreadyAnswered = presented.sibling < newest.last;
  if (alreadyAnswered || newest.last === MAX_SIBLING) return repeat(state, newest);
  // The anchor was issued for one grace period, and its last response arrives in less than another one.
  const anchorHasLanded = now - state.anchor.mintedAt > 2 * grace;
  const leftAt = state.leftAt ?? (anchorHasLanded ? now : null);
  return mint({ ...state, leftAt }, { ...newest, last: newest.last + 1 });
}
