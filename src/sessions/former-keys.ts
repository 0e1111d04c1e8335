import type { EndReason } from './end-reason.js';
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

/** Why a session got new keys: a step-up, or a change of credentials with the reason that ends the other sessions. */
export type KeyChange = 'step_up' | EndReason;

/** The keys that a session had before its last change of keys, and what had been proved in it until then. */
export interface FormerKeys {
  change: KeyChange;
  /** Base64; a nonce is no secret. */
  nonce: string;
  rotation: RotationState;
  /** Instants in ms since the epoch. */
  changedAt: number;
  authenticatedAt: number;
  secondFactorAt: number | null;
  deviations: readonly string[];
  /** Whether a request has shown an access token of the new keys, so that the answer cannot be lost any more. */
  delivered: boolean;
  /** Whether a client has gone on from these keys. */
  resumed: boolean;
}

export type Resumption =
  | Rotation
  /** A delayed request, or another tab's: the cookies of the client are new by now, so it only has to try again. */
  | 'superseded'
  /** A copy: end the session. */
  | 'reuse'
  /** Tells nothing about the client that holds the new keys: refuse the token, and leave the session alone. */
  | 'refuse';

/**
 * Decides a refresh with a token of the former keys. Two honest clients send one: a client that lost the answer which
 * carried the new keys, and another tab whose request was on its way at that time. Both show the device token. Until a
 * request shows that the answer has arrived, they get the tokens that it carried, as often as they ask.
 *
 * After that, a token of before a step-up is good for one grace. For five graces it may be a delayed request, which gets
 * nothing and ends nothing. Later it is a theft that ends the session.
 *
 * A change of credentials is stricter, since people change a password to get rid of a copy of their cookies. As soon as
 * the answer has arrived, the former keys give out nothing. A tab that shares the cookies tries again, with the new ones.
 * A later use is refused, but does not end the session: the copy must not log its owner out. If a client has gone on
 * from the former keys, though, two clients may hold the session, and a later use is a theft.
 */
export function resume(
  { rotation, former }: { rotation: RotationState; former: FormerKeys },
  presented: RefreshPosition,
  { proof, ...moment }: RefreshMoment & { proof: boolean },
): Resumption {
  const isStepUp = former.change === 'step_up';
  const dead = isStepUp || former.resumed ? 'reuse' : 'refuse';
  if (!proof) return dead;
  const before = rotate(former.rotation, presented, { ...moment, proof }).decision.outcome;
  if (before === 'superseded') return 'superseded';
  if (before !== 'issue') return dead;
  const hasArrived = former.delivered || rotation.newest !== null;
  const withinGrace = moment.now - former.changedAt <= moment.grace;
  if (hasArrived && !(isStepUp && withinGrace))
    return mayBeDelayed(former.changedAt, moment) ? 'superseded' : dead;
  if (rotation.newest !== null) return reissue(rotation, moment);
  return { state: rotation, decision: { outcome: 'issue', token: anchorOf(rotation), rotated: false } };
}
