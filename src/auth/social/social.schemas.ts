import { z } from 'zod';
import { instant, uuid } from '../../platform/api/schemas.js';
import type { Identity } from './identity.repository.js';

export const providerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not the name of a provider')
  .describe('as in `SOCIAL_PROVIDERS`')
  .meta({ examples: ['google'] });

export const ProviderList = z.object({
  items: z.array(
    z.object({
      id: providerName,
      name: z.string().describe('for people'),
    }),
  ),
});

/** A path of the application: neither another site nor another scheme (open redirect, OWASP). */
const returnTo = z
  .string()
  .max(2_000)
  .refine(isPath, 'must be a path such as /account')
  .default('/')
  .describe('the path to which the browser returns');

export const Start = z.strictObject({ returnTo });
export type Start = z.output<typeof Start>;

export const NewLink = z.strictObject({ provider: providerName, returnTo });
export type NewLink = z.output<typeof NewLink>;

export const LinkBegun = z.object({ redirectTo: z.url() }).meta({ id: 'LinkBegun' });

export const IdentityView = z
  .object({
    id: uuid,
    provider: z.string().meta({ examples: ['google'] }),
    email: z
      .string()
      .optional()
      .describe('as the provider has told it last')
      .meta({ examples: ['alice@gmail.example'] }),
    createdAt: instant,
    lastUsedAt: instant,
  })
  .meta({ id: 'Identity' });

export const IdentityList = z.object({
  items: z.array(IdentityView),
  hasPassword: z.boolean().describe('whether the caller can also log in with a password'),
});

export function identityViewOf(identity: Identity): z.input<typeof IdentityView> {
  const { id, provider, email, createdAt, lastUsedAt } = identity;
  return {
    id,
    provider,
    ...(email !== null && { email }),
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt.toISOString(),
  };
}

function isPath(path: string): boolean {
  const base = 'http://here.invalid';
  return path.startsWith('/') && URL.canParse(path, base) && new URL(path, base).origin === base;
}
