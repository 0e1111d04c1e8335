import { z } from 'zod';
import { defineSettings } from '../../platform/settings/feature-settings.js';
import * as setting from '../../platform/settings/setting.js';

const Provider = z.strictObject({
  /** As in its discovery document (OpenID Connect Discovery 1.0). */
  issuer: z.url({ protocol: /^https?$/ }).refine(isSafe, 'must begin with https:'),
  clientId: z.string().min(1).max(200),
  /** Absent for a public client, which proves itself by PKCE alone. */
  clientSecret: z.string().min(1).max(4_096).optional(),
  scope: z.string().min(6).max(500).default('openid email profile'),
});
export type SocialProvider = z.output<typeof Provider>;

/** Without TLS only in development, on this machine. */
function isSafe(issuer: string): boolean {
  const { protocol, hostname } = new URL(issuer);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '127.0.0.1';
}

/** The settings of sign-in with an outside account. */
export const socialSettings = defineSettings({
  socialProviders: setting.json(
    'The OpenID Connect providers with whose accounts people sign in, by the name that stands in the routes. The redirect URI to register there is `APP_URL` + `/v1/auth/social/<name>/callback`.',
    'a JSON object such as `{"google":{"issuer":"https://accounts.google.com","clientId":"…","clientSecret":"…"}}`',
    z.record(
      z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not a name: lower-case letters and digits'),
      Provider,
    ),
    { fallback: '{}', fallbackDoc: 'none', secret: true },
  ),
});
