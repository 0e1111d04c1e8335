import { z } from 'zod';
import { instant, text } from '../common/schemas.js';
import { SECOND_FACTOR_METHODS } from '../second-factor/second-factors.js';

/** As users type it: six digits of an authenticator app, or a recovery code. */
export const code = text({ max: 64 });

export const SecondStepOfLogin = z.strictObject({ challengeToken: text({ max: 200 }), code });
export type SecondStepOfLogin = z.infer<typeof SecondStepOfLogin>;

export const FirstCode = z.strictObject({ code });
export type FirstCode = z.infer<typeof FirstCode>;

export const MfaRequired = z
  .object({
    status: z.literal('mfa_required'),
    challengeToken: z.string().describe('for `POST /v1/auth/login/mfa`, with a code'),
    methods: z
      .array(z.enum(SECOND_FACTOR_METHODS))
      .describe(
        'what a code may be of; `passkey`: log in with that instead, by `POST /v1/auth/login/passkey`',
      ),
    expiresIn: z.int().describe('seconds'),
  })
  .meta({ id: 'MfaRequired' });

export const SecondFactorsView = z.object({
  required: z.boolean().describe('of this person, by `ADMIN_MFA`'),
  totp: z.object({ addedAt: instant }).nullable(),
  recoveryCodesLeft: z.int(),
  passkeys: z.int().describe('how many; see `GET /v1/auth/passkeys`'),
});

export const TotpEnrolmentView = z.object({
  secret: z.string().describe('base 32, for who cannot scan'),
  otpauthUrl: z.string().describe('for a QR code'),
  expiresAt: instant.describe('it has to be confirmed until then'),
});

export const RecoveryCodesView = z.object({
  recoveryCodes: z
    .array(z.string())
    .describe('each lets in once, in the place of a code; they are not shown again'),
});
