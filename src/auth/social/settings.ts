import { z } from 'zod';
import { canonicalEmail } from '../../platform/mail/email-address.js';
import { defineSettings } from '../../platform/settings/feature-settings.js';
import { homeOf } from '../../platform/settings/relying-party.js';
import * as setting from '../../platform/settings/setting.js';
import type { Settings } from '../../platform/settings/settings.js';

/** In the spelling of canonical addresses. */
const emailDomain = z.string().transform((domain, context) => {
  const canonical = canonicalEmail(`x@${domain}`)?.slice('x@'.length);
  if (canonical === undefined) context.addIssue('is not a domain');
  return canonical ?? z.NEVER;
});

/** Accepts calls of the provider that end everything of one user. Absent: they are answered with 404. */
const GlobalTokenRevocation = z.strictObject({
  /**
   * Domains of the provider's organisation. An address in them names its user here, even one that never signed in with
   * the provider.
   */
  emailDomains: z.array(emailDomain).max(100).default([]),
});

const Provider = z.strictObject({
  /** As in its discovery document (OpenID Connect Discovery 1.0). */
  issuer: z.url({ protocol: /^https?$/ }).refine(isSafe, 'must begin with https:'),
  clientId: z.string().min(1).max(200),
  /** Absent for a public client, which proves itself by PKCE alone. */
  clientSecret: z.string().min(1).max(4_096).optional(),
  /** For people, on the buttons of login pages [the name in the routes, with a capital letter]. */
  name: z.string().min(1).max(50).optional(),
  scope: z.string().min(6).max(500).default('openid email profile'),
  globalTokenRevocation: GlobalTokenRevocation.optional(),
});
export type SocialProvider = z.output<typeof Provider>;

/** Without TLS only in development, on this machine. */
function isSafe(issuer: string): boolean {
  const { protocol, hostname } = new URL(issuer);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '127.0.0.1';
}

/** The address of a route of a provider, as it is registered there. */
export function routeUrlOf(
  settings: Pick<Settings, 'appUrl' | 'port'>,
  provider: string,
  route: 'callback' | 'global-token-revocation',
): string {
  return `${homeOf(settings).href.replace(/\/+$/, '')}/v1/auth/social/${provider}/${route}`;
}

/** The settings of sign-in with an outside account. */
export const socialSettings = defineSettings({
  socialProviders: setting.json(
    'The OpenID Connect providers with whose accounts people sign in, by the name that stands in the routes. The redirect URI to register there is `APP_URL` + `/v1/auth/social/<name>/callback`. With `"globalTokenRevocation":{}`, the provider may end all sessions of its users: see the guide to outside accounts.',
    'a JSON object such as `{"google":{"issuer":"https://accounts.google.com","clientId":"…","clientSecret":"…"}}`',
    z.record(
      z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not a name: lower-case letters and digits'),
      Provider,
    ),
    { fallback: '{}', fallbackDoc: 'none', secret: true },
  ),
});
