import { keptModule } from '../common/kept-module.js';
import type { RelyingParty } from '../config/relying-party.js';
import type { PasskeyAssertion, PasskeyAttestation } from './ceremony.schemas.js';

/** EdDSA, ES256, RS256 (IANA COSE algorithms): in the order in which we like them; each authenticator knows one of them. */
export const ALGORITHMS: number[] = [-8, -7, -257];

/** WebAuthn 7.1, step 25. */
const LONGEST_CREDENTIAL_ID = 1_023;

/** What an authenticator has made, and all that is kept of it: nothing secret. */
export interface Credential {
  credentialId: Buffer;
  publicKey: Buffer;
  signCount: number;
  transports: string[];
  aaguid: string;
  backupEligible: boolean;
  backedUp: boolean;
}

/** What a signature that is right says besides. */
export type Assertion = Pick<Credential, 'signCount' | 'backedUp'>;

/** Why something that an authenticator is said to have answered is not believed; for the log. */
export class Disbelieved extends Error {}

/** 260 modules and 25 MB, for those who use passkeys: they are loaded when somebody first does. */
const webauthn = keptModule('webauthn', () => import('./webauthn.js'));

/** @returns what was signed as the challenge; null where that cannot be said, or a frame of another site has asked */
export async function challengeIn({
  response,
}: {
  response: { clientDataJSON: string };
}): Promise<string | null> {
  const { decodeClientDataJSON } = await webauthn();
  try {
    const { challenge, crossOrigin } = decodeClientDataJSON(response.clientDataJSON);
    return typeof challenge === 'string' && !crossOrigin ? challenge : null;
  } catch {
    return null;
  }
}

export function verifyAttestation(
  attestation: PasskeyAttestation,
  challenge: string,
  { id, origins }: RelyingParty,
): Promise<Credential | Disbelieved> {
  return believing(async () => {
    const { verifyRegistrationResponse } = await webauthn();
    const { registrationInfo } = await verifyRegistrationResponse({
      response: { ...(await withoutStatement(attestation)), clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: origins,
      expectedRPID: id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    const { credential, aaguid, credentialDeviceType, credentialBackedUp } = registrationInfo!;
    const credentialId = Buffer.from(credential.id, 'base64url');
    if (credentialId.length === 0 || credentialId.length > LONGEST_CREDENTIAL_ID)
      throw new RangeError(`a credential id of ${credentialId.length} bytes`);
    return {
      credentialId,
      publicKey: Buffer.from(credential.publicKey),
      signCount: credential.counter,
      transports: credential.transports ?? [],
      aaguid,
      backupEligible: credentialDeviceType === 'multiDevice',
      backedUp: credentialBackedUp,
    };
  });
}

/**
 * Whether this passkey has signed the challenge for one of our pages, and its authenticator has verified the person. Its
 * counter is not looked at: that is for a transaction, and for signatures that are right only.
 */
export function verifyAssertion(
  { response, ...credential }: PasskeyAssertion,
  challenge: string,
  { id, origins }: RelyingParty,
  { publicKey }: Pick<Credential, 'publicKey'>,
): Promise<Assertion | Disbelieved> {
  return believing(async () => {
    const { verifyAuthenticationResponse } = await webauthn();
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: {
        ...credential,
        response: { ...response, userHandle: response.userHandle ?? undefined },
        clientExtensionResults: {},
      },
      expectedChallenge: challenge,
      expectedOrigin: origins,
      expectedRPID: id,
      requireUserVerification: true,
      credential: { id: credential.id, publicKey: new Uint8Array(publicKey), counter: 0 },
    });
    if (!verified) throw new Error('the signature is not by this key');
    return { signCount: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp };
  });
}

/**
 * We ask for no attestation. Where one comes all the same it is dropped unread, as a browser would have done: whatever the
 * authenticator is, it is welcome, and nobody's certificates are parsed or fetched.
 */
async function withoutStatement({
  response,
  ...credential
}: PasskeyAttestation): Promise<PasskeyAttestation> {
  const { decodeAttestationObject, isoBase64URL, isoCBOR } = await webauthn();
  const { attestationObject } = response;
  const authData = decodeAttestationObject(isoBase64URL.toBuffer(attestationObject)).get('authData');
  const none = isoCBOR.encode(
    new Map<string, string | Map<string, string> | Uint8Array>([
      ['fmt', 'none'],
      ['attStmt', new Map<string, string>()],
      ['authData', authData],
    ]),
  );
  return { ...credential, response: { ...response, attestationObject: isoBase64URL.fromBuffer(none) } };
}

/** The library looks at nothing but what it is given: whatever it throws is about that. */
async function believing<T>(verify: () => Promise<T>): Promise<T | Disbelieved> {
  try {
    return await verify();
  } catch (cause) {
    return new Disbelieved((cause as Error).message, { cause });
  }
}
