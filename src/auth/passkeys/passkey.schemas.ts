import { z } from 'zod';
import { instant, text, uuid } from '../../common/schemas.js';
import { deviceName } from '../../sessions/device.schemas.js';
import { TRANSPORTS } from '../../sessions/session.entity.js';
import type { Passkey } from './passkeys.store.js';

const passkeyName = text({ max: 100 });

/** In a body of 10 KiB at most. */
const bytes = z
  .string()
  .max(8_192)
  .regex(/^[A-Za-z0-9_-]+$/, 'must be base64url')
  .meta({ description: 'base64url' });

/** What `toJSON()` of a browser's credential says; what it says besides, in later browsers more, is not looked at. */
const credential = { id: bytes, rawId: bytes, type: z.literal('public-key') };

export const PasskeyAttestation = z
  .object({
    ...credential,
    response: z.object({
      clientDataJSON: bytes,
      attestationObject: bytes,
      transports: z
        .array(z.string().regex(/^[a-z][a-z-]{0,31}$/, 'must be a transport'))
        .max(16)
        .optional(),
    }),
  })
  .meta({ id: 'PasskeyAttestation', description: 'what `navigator.credentials.create()` brings' });
export type PasskeyAttestation = z.infer<typeof PasskeyAttestation>;

export const PasskeyAssertion = z
  .object({
    ...credential,
    response: z.object({
      clientDataJSON: bytes,
      authenticatorData: bytes,
      signature: bytes,
      userHandle: bytes.nullish(),
    }),
  })
  .meta({ id: 'PasskeyAssertion', description: 'what `navigator.credentials.get()` brings' });
export type PasskeyAssertion = z.infer<typeof PasskeyAssertion>;

export const PasskeyEnrolment = z.strictObject({
  response: PasskeyAttestation,
  name: passkeyName.optional(),
});
export type PasskeyEnrolment = z.infer<typeof PasskeyEnrolment>;

export const PasskeyChanges = z.strictObject({ name: passkeyName });
export type PasskeyChanges = z.infer<typeof PasskeyChanges>;

export const PasskeyLogin = z.strictObject({
  challengeToken: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, 'must be the one that came with the options')
    .meta({ description: 'of the options' }),
  response: PasskeyAssertion,
  transport: z.enum(TRANSPORTS).default('cookie'),
  deviceName: deviceName.optional(),
});
export type PasskeyLogin = z.infer<typeof PasskeyLogin>;

export const PasskeyProof = z.strictObject({ response: PasskeyAssertion });
export type PasskeyProof = z.infer<typeof PasskeyProof>;

const descriptors = z.array(
  z.object({ id: z.string(), type: z.literal('public-key'), transports: z.array(z.string()) }),
);

/** For `PublicKeyCredential.parseCreationOptionsFromJSON()`. */
export const PasskeyCreationOptions = z
  .object({
    challenge: z.string(),
    rp: z.object({ id: z.string(), name: z.string() }),
    user: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
    pubKeyCredParams: z.array(z.object({ type: z.literal('public-key'), alg: z.int() })),
    timeout: z.int().describe('milliseconds'),
    attestation: z.literal('none'),
    authenticatorSelection: z.object({
      residentKey: z.literal('required'),
      requireResidentKey: z.boolean(),
      userVerification: z.literal('required'),
    }),
    excludeCredentials: descriptors,
  })
  .meta({ id: 'PasskeyCreationOptions' });
export type PasskeyCreationOptions = z.infer<typeof PasskeyCreationOptions>;

/** For `PublicKeyCredential.parseRequestOptionsFromJSON()`. */
const requestOptions = {
  challenge: z.string(),
  rpId: z.string(),
  timeout: z.int().describe('milliseconds'),
  userVerification: z.literal('required'),
  allowCredentials: descriptors,
};
export const PasskeyRequestOptions = z.object(requestOptions).meta({ id: 'PasskeyRequestOptions' });
export type PasskeyRequestOptions = z.infer<typeof PasskeyRequestOptions>;

export const PasskeyLoginOptions = z
  .object({
    ...requestOptions,
    challengeToken: z.string().describe('goes back with the answer, and nowhere else'),
  })
  .meta({ id: 'PasskeyLoginOptions' });
export type PasskeyLoginOptions = z.infer<typeof PasskeyLoginOptions>;

export const PasskeyView = z
  .object({
    id: uuid,
    name: z.string(),
    credentialId: z.string().describe('base64url, as the authenticator knows it'),
    aaguid: uuid.optional().describe('the make of the authenticator, where it says so'),
    transports: z.array(z.string()),
    synced: z.boolean().describe('made to be on several devices'),
    backedUp: z.boolean().describe('is by now, or was when it was last used'),
    createdAt: instant,
    lastUsedAt: instant.optional(),
  })
  .meta({ id: 'Passkey' });
export type PasskeyView = z.infer<typeof PasskeyView>;

export const PasskeyList = z.object({ items: z.array(PasskeyView) });

const NO_AAGUID = '00000000-0000-0000-0000-000000000000';

export function passkeyViewOf(passkey: Passkey): PasskeyView {
  const { id, name, credentialId, aaguid, transports, backupEligible, backedUp, createdAt, lastUsedAt } =
    passkey;
  return {
    id,
    name,
    credentialId: credentialId.toString('base64url'),
    ...(aaguid !== NO_AAGUID && { aaguid }),
    transports,
    synced: backupEligible,
    backedUp,
    createdAt: createdAt.toISOString(),
    ...(lastUsedAt && { lastUsedAt: lastUsedAt.toISOString() }),
  };
}
