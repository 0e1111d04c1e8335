import { z } from 'zod';
import {
  EXAMPLE_NEW_PASSWORD,
  EXAMPLE_PASSWORD,
  EXAMPLE_TIMES,
  EXAMPLE_USER,
} from '../../platform/api/examples.js';
import { role } from '../../roles.js';
import { instant, text, uuid } from '../../platform/api/schemas.js';
import { ClaimsView, DECLARES_CLAIMS } from '../../platform/claims/declared-claims.js';
import { deviceName } from '../../sessions/devices/device.schemas.js';
import { SessionView } from '../../sessions/session.schemas.js';
import { TRANSPORTS } from '../../sessions/session.entity.js';
import { code, MfaRequired } from '../mfa/second-factor.schemas.js';
import { displayName, email, Profile } from '../../users/user.schemas.js';

/**
 * Maximum length in characters. Long passphrases are welcome; a longer password is refused, never truncated (ASVS
 * 6.2.8, 6.2.9).
 */
export const MAX_PASSWORD_LENGTH = 256;

/** A password as a user types it to log in. Only the length is checked, because older rules may have accepted it. */
export const passwordInput = text({ max: MAX_PASSWORD_LENGTH }).meta({ examples: [EXAMPLE_PASSWORD] });

export const Registration = z
  .strictObject({
    email,
    password: passwordInput,
    displayName: displayName.optional(),
  })
  .meta({
    examples: [{ email: 'carol@example.com', password: EXAMPLE_NEW_PASSWORD, displayName: 'Carol' }],
  });
export type Registration = z.infer<typeof Registration>;

export const Login = z.strictObject({
  email,
  password: passwordInput,
  transport: z.enum(TRANSPORTS).default('cookie'),
  deviceName: deviceName.optional(),
});
export type Login = z.infer<typeof Login>;

/** Not parsed here; the service that issued it verifies it. */
const token = z.string().min(1).max(4_096);

export const Refresh = z.strictObject({ refreshToken: token.optional() }).optional();
export type Refresh = z.infer<typeof Refresh>;

export const Reauthentication = z
  .strictObject({ password: passwordInput.optional(), code: code.optional() })
  .refine(
    ({ password, code }) => (password === undefined) !== (code === undefined),
    'must contain a password or a code',
  )
  .meta({ examples: [{ password: EXAMPLE_PASSWORD }] });
export type Reauthentication = z.infer<typeof Reauthentication>;

const newPassword = passwordInput.meta({ examples: [EXAMPLE_NEW_PASSWORD] });

export const PasswordChange = z.strictObject({
  currentPassword: passwordInput,
  newPassword,
});
export type PasswordChange = z.infer<typeof PasswordChange>;

/** A token from a link in a mail. */
const mailedToken = text({ max: 200 }).meta({ examples: ['the-token-of-the-link-in-the-mail'] });

export const PasswordForgotten = z.strictObject({ email });
export type PasswordForgotten = z.infer<typeof PasswordForgotten>;

export const PasswordReset = z.strictObject({ token: mailedToken, newPassword });
export type PasswordReset = z.infer<typeof PasswordReset>;

export const EmailVerification = z.strictObject({ token: mailedToken });
export type EmailVerification = z.infer<typeof EmailVerification>;

export const EmailChange = z.strictObject({ email: email.meta({ examples: ['alice.new@example.com'] }) });
export type EmailChange = z.infer<typeof EmailChange>;

export const Accepted = z.object({ status: z.literal('accepted') });

export const Grant = z
  .object({
    user: Profile,
    session: SessionView,
    accessTokenExpiresIn: z
      .int()
      .describe('seconds')
      .meta({ examples: [900] }),
    accessToken: z.string().optional().describe('bearer transport only, like the four fields below'),
    tokenType: z.literal('Bearer').optional(),
    expiresIn: z.int().optional().describe('seconds (the name is from OAuth)'),
    refreshToken: z.string().optional(),
    deviceToken: z
      .string()
      .optional()
      .describe('store it, and send it as `X-Device-Token` with login and refresh'),
  })
  .meta({ id: 'Grant' });
export type Grant = z.input<typeof Grant>;

/** A session, or a request for the second factor. */
export const LoginAnswer = z.xor([Grant, MfaRequired]);
export type LoginAnswer = z.input<typeof LoginAnswer>;

export const WhoAmI = z.object({
  userId: uuid.meta({ examples: [EXAMPLE_USER.id] }),
  sessionId: uuid,
  roles: z.array(role),
  ...(DECLARES_CLAIMS && { claims: ClaimsView }),
  expiresAt: instant.meta({ examples: [EXAMPLE_TIMES.soon] }),
});
