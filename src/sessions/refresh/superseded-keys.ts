import type { EndReason } from '../revocation/end-reason.js';
import {
  anchorOf,
  mayBeDelayed,
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
   * A delayed request, or a request from another tab. The client's cookie jar has the new cookies by now or soon, so
   * the client only has to try again.
   */
  | 'superseded'
  /** The token is a copy: end the session. */
  | 'reuse'
  /** The token says nothing about the client that has the new keys: refuse the token and let the session go on. */
  | 'refuse';

/** A client waits no longer for a response: `refreshTimeout` of the client, or a third of a shorter grace period. */
export const RESPONSE_TIMEOUT_MS = 3_000;
const responseTimeout = (grace: number): number => Math.min(RESPONSE_TIMEOUT_MS, grace / 3);

/**
 * Decides a refresh with a token of the superseded keys. An honest client sends one in two cases:
 * - It lost the response with the new keys.
 * - The response is still on its way. The end of an event stream, or a call of another tab, can overtake it.
 *
 * In both cases it presents the device token. The server cannot tell them apart, so it waits: as long as the response
 * may be on its way, the client only has to try again. The proofs that came with the new keys stay. After that, until a
 * request shows that the response has arrived, the client gets the tokens of that response, however often it asks.
 *
 * Once the response has arrived, the server issues no tokens for the superseded keys. For five grace periods a token
 * may be a delayed request: the client gets no tokens, and the session goes on.
 *
 * Later a token from before a step-up counts as stolen, and the session ends. A token from before a change of
 * credentials is refused but does not end the session: users change a password to lock out a copy of their cookies,
 * and the copy must not log its owner out. There is one exception. If a client has continued with the superseded keys,
 * two clients may have the session, and a later use counts as theft.
 */
export function resume(
  { rotation, superseded }: { rotation: RotationState; superseded: SupersededKeys },
  presented: RefreshPosition,
  { proof, ...moment }: RefreshMoment & { proof: boolean },
): Resumption {
  const dead = superseded.change === 'step_up' || superseded.resumed ? 'reuse' : 'refuse';
  if (!proof) return dead;
  const before = rotate(superseded.rotation, presented, { ...moment, proof }).decision.outcome;
  if (before === 'superseded') return 'superseded';
  if (before !== 'issue') return dead;
  const hasArrived = superseded.delivered || rotation.newest !== null;
  if (hasArrived) return mayBeDelayed(superseded.changedAt, moment) ? 'superseded' : dead;
  const mayArrive = moment.now - superseded.changedAt < responseTimeout(moment.grace);
  if (mayArrive) return 'superseded';
  return { state: rotation, decision: { outcome: 'issue', token: anchorOf(rotation), rotated: false } };
}
