import { z } from 'zod';
import { EXAMPLE_USER } from '../../../platform/api/examples.js';

/**
 * Either alphabet of RFC 4648, with or without padding. Browsers write base64url without padding. Password managers
 * that answer in place of a browser write all four forms.
 */
const BASE64 = /^(?:[A-Za-z0-9_-]+|[A-Za-z0-9+/]+)={0,2}$/;

/**
 * The only decoder for the values of an authenticator. Its output is base64url without padding. At most a body of 10
 * KiB.
 */
const bytes = z
  .string()
  .max(8_192)
  .regex(BASE64, 'must be base64url')
  .transform((text) => Buffer.from(text, 'base64').toString('base64url'))
  .meta({ description: 'base64url', examples: ['AAECAwQFBgcICQoLDA0ODw'] });

/**
 * The members of a browser credential's `toJSON()` that the server reads. It ignores all others; later browsers may
 * add some.
 */
const credential = { id: bytes, rawId: bytes, type: z.literal('public-key') };

export const PasskeyAttestation = z
  .object({
    ...credential,
    response: z.object({
      clientDataJSON: bytes,
      attestationObject: bytes,
      transports: z
        .array(
          z
            .string()
            .regex(/^[a-z][a-z-]{0,31}$/, 'must be a transport')
            .meta({ examples: ['internal'] }),
        )
        .max(16)
        .optional(),
    }),
  })
  .meta({ id: 'PasskeyAttestation', description: 'the result of `navigator.credentials.create()`' });
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
  .meta({ id: 'PasskeyAssertion', description: 'the result of `navigator.credentials.get()`' });
export type PasskeyAssertion = z.infer<typeof PasskeyAssertion>;

const challenge = z.string().meta({ examples: ['c2V2ZW4gaGVyb25zIG92ZXIgdGhlIHdlaXI'] });
const hostname = z.string().meta({ examples: ['localhost'] });
const timeout = z
  .int()
  .describe('milliseconds')
  .meta({ examples: [300_000] });

const descriptors = z.array(
  z.object({
    id: z.string().meta({ examples: ['AAECAwQFBgcICQoLDA0ODw'] }),
    type: z.literal('public-key'),
    transports: z.array(z.string().meta({ examples: ['internal'] })),
  }),
);

/** For `PublicKeyCredential.parseCreationOptionsFromJSON()`. */
export const PasskeyCreationOptions = z
  .object({
    challenge,
    rp: z.object({ id: hostname, name: z.string().meta({ examples: ['Example'] }) }),
    user: z.object({
      id: z.string().meta({ examples: ['AAECAwQFBgcICQoLDA0ODw'] }),
      name: z.string().meta({ examples: [EXAMPLE_USER.email] }),
      displayName: z.string().meta({ examples: [EXAMPLE_USER.displayName] }),
    }),
    pubKeyCredParams: z.array(
      z.object({ type: z.literal('public-key'), alg: z.int().meta({ examples: [-7] }) }),
    ),
    timeout,
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
export const PasskeyRequestOptions = z
  .object({
    challenge,
    rpId: hostname,
    timeout,
    userVerification: z.literal('required'),
    allowCredentials: descriptors,
  })
  .meta({ id: 'PasskeyRequestOptions' });
export type PasskeyRequestOptions = z.infer<typeof PasskeyRequestOptions>;
