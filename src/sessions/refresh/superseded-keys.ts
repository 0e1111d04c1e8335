import type { EndReason } from '../revocation/end-reason.js';
import {
  anchorOf,
  mayBeDelayed,
  reissue,
  rotate,
  type RefreshMoment,
  type RefreshPosition,
  type Rotation,
  type RotationState,
} from './rotation.js';

/**
 * Why a session got new keys: a step-up, or a change of credentials (then it is the reason that ends the other
 * sessions).
 */
export type KeyChange = 'step_up' | EndReason;

/**
 * The superseded keys of a session: its keys before their last change, and the proofs of identity up to that change.
 */
export interface SupersededKeys {
  change: KeyChange;
  /** Base64. A nonce is not a secret. */
  nonce: string;
  rotation: RotationState;
  /** Instants in ms since the epoch. */
  changedAt: number;
  authenticatedAt: number;
  secondFactorAt: number | null;
  deviations: readonly string[];
  /**
   * Whether a request has presented an access token of the new keys. From then on the response with the new keys
   * cannot be lost.
   */
  delivered: boolean;
  /** Whether a client has continued with these superseded keys. */
  resumed: boolean;
}

export type Resumption =
  | Rotation
  /**
   * A delayed request, or a request from another tab. The client's cookie jar has the new cookies by now, so the
   * client only has to try again.
   */
  | 'superseded'
  /** The token is a copy: end the session. */
  | 'reuse'
  /** The token says nothing about the client that has the new keys: refuse the token and let the session go on. */
  | 'refuse';

/**
 * Decides a refresh with a token of the superseded keys. An honest client sends one in two cases:
 * - It lost the response with the new keys.
 * - A request of another tab was in flight at that time.
 *
 * In both cases it presents the device token. Until a request shows that the response has arrived, the client gets the
 * tokens of that response, however often it asks.
 *
 * After that, a token from before a step-up works for one grace period. For five grace periods it may be a delayed
 * request: the client gets no tokens, and the session goes on. Later the token counts as stolen, and the session
 * ends.
 *
 * A change of credentials is stricter, because users change a password to lock out a copy of their cookies. After the
 * response has arrived, the server issues no tokens for the superseded keys. A tab that shares the cookies tries
 * again with the new ones. A later use is refused but does not end the session, so that the copy cannot log its owner
 * out. There is one exception. If a client has continued with the superseded keys, two clients may have the session,
 * and a later use counts as theft.
 */
export function resume(
  { rotation, superseded }: { rotation: RotationState; superseded: SupersededKeys },
  presented: RefreshPosition,
  { proof, ...moment }: RefreshMoment & { proof: boolean },
): Resumption {
  const isStepUp = superseded.change === 'step_up';
  const dead = isStepUp || superseded.resumed ? 'reuse' : 'refuse';
  if (!proof) return dead;
  const before = rotate(superseded.rotation, presented, { ...moment, proof }).decision.outcome;
  if (before === 'superseded') return 'superseded';
  if (before !== 'issue') return dead;
  const hasArrived = superseded.delivered || rotation.newest !== null;
  const withinGrace = moment.now - superseded.changedAt <= moment.grace;
  if (hasArrived && !(isStepUp && withinGrace))
    return mayBeDelayed(superseded.changedAt, moment) ? 'superseded' : dead;
  if (rotation.newest !== null) return reissue(rotation, moment);
  return { state: rotation, decision: { outcome: 'issue', token: anchorOf(rotation), rotated: false } };
}
