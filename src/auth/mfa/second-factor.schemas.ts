import { z } from 'zod';
import { EXAMPLE_TIMES } from '../../platform/api/examples.js';
import { instant, text } from '../../platform/api/schemas.js';
import { SECOND_FACTOR_METHODS } from './second-factors.js';

const CHALLENGE = 'the-challenge-token-of-the-login';

/** As users type it: six digits of an authenticator app, or a recovery code. */
export const code = text({ max: 64 }).meta({ examples: ['123456'] });

export const SecondStepOfLogin = z.strictObject({
  challengeToken: text({ max: 200 }).meta({ examples: [CHALLENGE] }),
  code,
});
export type SecondStepOfLogin = z.infer<typeof SecondStepOfLogin>;

export const FirstCode = z.strictObject({ code });
export type FirstCode = z.infer<typeof FirstCode>;

export const MfaRequired = z
  .object({
    status: z.literal('mfa_required'),
    challengeToken: z
      .string()
      .describe('send it with a code to `POST /v1/auth/login/mfa`')
      .meta({ examples: [CHALLENGE] }),
    methods: z
      .array(z.enum(SECOND_FACTOR_METHODS))
      .describe(
        'the kinds of codes that are accepted; `passkey`: log in with a passkey at `POST /v1/auth/login/passkey` instead',
      ),
    expiresIn: z
      .int()
      .describe('seconds')
      .meta({ examples: [300] }),
  })
  .meta({ id: 'MfaRequired' });

export const SecondFactorsView = z.object({
  required: z.boolean().describe('whether `ADMIN_MFA` requires a second factor of this user'),
  totp: z.object({ addedAt: instant }).nullable(),
  recoveryCodesLeft: z.int().meta({ examples: [9] }),
  passkeys: z.int().describe('the number of passkeys; `GET /v1/auth/passkeys` lists them'),
});

export const TotpEnrolmentView = z.object({
  secret: z
    .string()
    .describe('base 32, for users that cannot scan the QR code')
    .meta({ examples: ['GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'] }),
  otpauthUrl: z
    .string()
    .describe('the content of the QR code')
    .meta({ examples: ['otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'] }),
  expiresAt: instant
    .describe('the enrolment must be confirmed before this time')
    .meta({ examples: [EXAMPLE_TIMES.soon] }),
});

export const RecoveryCodesView = z.object({
  recoveryCodes: z
    .array(z.string())
    .describe('each can be used once instead of a code; they are not shown again')
    .meta({ examples: [['2345-6789-bcdf-ghjk', 'mnpq-rstv-wxyz-2345']] }),
});
