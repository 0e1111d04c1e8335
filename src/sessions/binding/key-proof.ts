import { Problem } from '../../platform/api/problem.js';
import type { Principal } from '../../platform/http/request.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { bindsSessions, type BindingRules } from './session-binding.js';

/**
 * Whether a request with an access token lacks the proof of the session's device key. Bearer clients prove it at login,
 * refresh and step-up alone, because a proof costs more than the whole access tier.
 */
export function lacksKeyProof(
  { transport, binding }: Pick<SessionSnapshot, 'transport' | 'binding'>,
  { provenKey }: Principal,
  rules: BindingRules,
): boolean {
  return transport === 'cookie' && binding !== null && provenKey !== binding.version && bindsSessions(rules);
}

/**
 * The problem of a request without a proof of the device key. It is a copy of cookies or tokens, or the device has lost its
 * key. A step-up in place lifts it, so an honest client stays logged in.
 */
export function keyProofRequired({ bySecondFactor = false } = {}): Problem {
  return new Problem('auth.reauthentication_required', {
    members: { deviceKey: 'unproven', ...(bySecondFactor && { bySecondFactor }) },
    headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication"' },
  });
}
