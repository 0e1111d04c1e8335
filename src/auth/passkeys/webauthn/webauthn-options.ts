import type { RelyingParty } from '../../../platform/settings/relying-party.js';
import { ALGORITHMS } from './webauthn.js';
import type { PasskeyCreationOptions, PasskeyRequestOptions } from './webauthn.schemas.js';
import { CHALLENGE_LIFETIME_MS } from '../passkey-challenges.js';
import type { Passkey } from '../passkey.repository.js';

interface Enrolling {
  id: string;
  email: string;
  displayName: string | null;
}

/** Options for a discoverable credential that requires user verification. */
export function creationOptions(
  { id, name }: RelyingParty,
  challenge: string,
  person: Enrolling,
  existing: Passkey[],
): PasskeyCreationOptions {
  return {
    challenge,
    rp: { id, name },
    user: {
      id: userHandleOf(person.id),
      name: person.email,
      displayName: person.displayName ?? person.email,
    },
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
    timeout: CHALLENGE_LIFETIME_MS,
    attestation: 'none',
    authenticatorSelection: {
      residentKey: 'required',
      requireResidentKey: true,
      userVerification: 'required',
    },
    excludeCredentials: existing.map(descriptorOf),
  };
}

/** @param allowed the passkeys that may answer; if empty, any passkey */
export function requestOptions(
  { id }: RelyingParty,
  challenge: string,
  allowed: Passkey[] = [],
): PasskeyRequestOptions {
  return {
    challenge,
    rpId: id,
    timeout: CHALLENGE_LIFETIME_MS,
    userVerification: 'required',
    allowCredentials: allowed.map(descriptorOf),
  };
}

/** The user handle for authenticators, in base64url. It contains no personal data (WebAuthn 14.6.1). */
export function userHandleOf(userId: string): string {
  return Buffer.from(userId.replaceAll('-', ''), 'hex').toString('base64url');
}

function descriptorOf({ credentialId, transports }: Passkey) {
  return { id: credentialId.toString('base64url'), type: 'public-key' as const, transports };
}
