import { keptModule } from '../../../platform/performance/kept-module.js';
import type { RelyingParty } from '../../../platform/settings/relying-party.js';
import type { PasskeyAssertion, PasskeyAttestation } from './webauthn.schemas.js';

/**
 * EdDSA, ES256, RS256 (IANA COSE algorithms), in order of preference. Each authenticator supports at least one of
 * them.
 */
export const ALGORITHMS: number[] = [-8, -7, -257];

/** The maximum length in bytes (WebAuthn 7.1, step 25). */
const MAX_CREDENTIAL_ID = 1_023;

/** A credential that an authenticator has created, as the server stores it. It contains no secret. */
export interface Credential {
  credentialId: Buffer;
  publicKey: Buffer;
  signCount: number;
  transports: string[];
  aaguid: string;
  backupEligible: boolean;
  backedUp: boolean;
}

/** The data that comes with a valid signature. */
export type Assertion = Pick<Credential, 'signCount' | 'backedUp'>;

/** Why the response of an authenticator failed its verification; for the log. */
export class VerificationFailed extends Error {}

/** The library has 260 modules and takes 25 MB. It is loaded on the first use of a passkey. */
const webauthn = keptModule('webauthn-library', () => import('./webauthn-library.js'));

/** @returns the challenge that was signed; null when it cannot be read, or a frame of another site made the request */
export async function challengeFrom({
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

/** Verifies a new credential (WebAuthn 7.1). */
export function verifyAttestation(
  attestation: PasskeyAttestation,
  challenge: string,
  { id, origins }: RelyingParty,
): Promise<Credential | VerificationFailed> {
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
    if (credentialId.length === 0 || credentialId.length > MAX_CREDENTIAL_ID)
      throw new RangeError(`the credential id has ${credentialId.length} bytes`);
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
 * Verifies that this passkey has signed the challenge for one of the allowed origins, and that its authenticator has
 * verified the user. It does not check the signature counter. A transaction does that later, for valid signatures
 * only.
 */
export function verifyAssertion(
  { response, ...credential }: PasskeyAssertion,
  challenge: string,
  { id, origins }: RelyingParty,
  { publicKey }: Pick<Credential, 'publicKey'>,
): Promise<Assertion | VerificationFailed> {
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
    if (!verified) throw new Error('the signature is not from this key');
    return { signCount: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp };
  });
}

/**
 * The server requests no attestation. If an authenticator sends one, it is dropped unread, as a browser would do. The
 * server accepts every model of authenticator, and parses and fetches no certificates.
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

/** The library depends only on its input, so any error that it throws is about that input. */
async function believing<T>(verify: () => Promise<T>): Promise<T | VerificationFailed> {
  try {
    return await verify();
  } catch (cause) {
    return new VerificationFailed((cause as Error).message, { cause });
  }
}
