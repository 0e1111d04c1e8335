import type { JWK } from 'jose';
import type { Settings } from '../../platform/settings/settings.js';
import type { Transport } from '../session.entity.js';

/**
 * The key of the device that a session is bound to. The key cannot leave the device, so a copy of every cookie and
 * token is refused elsewhere. There is one concept with two carriers:
 * - `dbsc`, for cookie sessions: Device Bound Session Credentials (W3C). The browser proves the key every few minutes,
 *   and gets a bound cookie that its other requests show.
 * - `dpop`, for bearer sessions: DPoP (RFC 9449). The client proves the key at login, refresh and step-up.
 */
export interface SessionBinding {
  /** How often the key of this session was set or removed. A bound cookie of an earlier key has an earlier number. */
  version: number;
  /** Milliseconds since the epoch. */
  boundAt: number;
}

export const CARRIERS = ['dbsc', 'dpop'] as const;
export type BindingCarrier = (typeof CARRIERS)[number];

/** The carrier of the binding of a session on this transport. */
export function carrierOf(transport: Transport): BindingCarrier {
  return transport === 'cookie' ? 'dbsc' : 'dpop';
}

/** The proof of a device key in a request. */
export type KeyProof =
  /** A bound cookie: within the last minutes, the device has proved the key of this version. */
  | { carrier: 'dbsc'; sessionId: string; version: number }
  /** A DPoP proof, signed for this request with this public key. */
  | { carrier: 'dpop'; key: JWK };

interface Bound {
  session: { id: string; transport: Transport; binding: SessionBinding | null };
  deviceKey: JWK | null;
}

export type BindingRules = Pick<Settings, 'deviceBinding'>;

/** Whether sessions can be bound, and bound sessions are checked. */
export function bindsSessions({ deviceBinding }: BindingRules): boolean {
  return deviceBinding !== 'off';
}

/** Whether a request proves the key of the session; true for a session that has none. */
export function holdsKey(
  { session, deviceKey }: Bound,
  proof: KeyProof | null,
  rules: BindingRules,
): boolean {
  const { id, transport, binding } = session;
  if (binding === null || !bindsSessions(rules)) return true;
  if (proof?.carrier !== carrierOf(transport)) return false;
  return proof.carrier === 'dbsc'
    ? proof.sessionId === id && proof.version === binding.version
    : isSameKey(proof.key, deviceKey!);
}

/** Public keys are equal when their required members are (RFC 7638 3.2). */
function isSameKey(one: JWK, other: JWK): boolean {
  return (['kty', 'crv', 'x', 'y', 'n', 'e'] as const).every((member) => one[member] === other[member]);
}
