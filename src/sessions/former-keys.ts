import {
  anchorOf,
  reissue,
  rotate,
  type RefreshMoment,
  type RefreshPosition,
  type Rotation,
  type RotationState,
} from './rotation.js';

/** What a step-up has taken the place of: the keys of the session, and what had been proved in it until then. */
export interface FormerKeys {
  /** Base64; a nonce is no secret. */
  nonce: string;
  rotation: RotationState;
  /** Instants in ms since the epoch. */
  changedAt: number;
  authenticatedAt: number;
  secondFactorAt: number | null;
  deviations: readonly string[];
}

/**
 * Decides a refresh with a token of the former keys. An honest client holds one when the answer to its step-up got lost,
 * or for the moment in which another tab steps up; both have the device token. It is given what the step-up had given
 * out, as often as it asks, as long as nobody has used that.
 * @returns null when no honest client presents this token any more
 */
export function resume(
  { rotation, former }: { rotation: RotationState; former: FormerKeys },
  presented: RefreshPosition,
  { proof, ...moment }: RefreshMoment & { proof: boolean },
): Rotation | null {
  const wasGood =
    proof && rotate(former.rotation, presented, { ...moment, proof }).decision.outcome === 'issue';
  if (!wasGood) return null;
  const isUnused = rotation.newest === null;
  if (isUnused)
    return { state: rotation, decision: { outcome: 'issue', token: anchorOf(rotation), rotated: false } };
  return moment.now - former.changedAt <= moment.grace ? reissue(rotation, moment) : null;
}
