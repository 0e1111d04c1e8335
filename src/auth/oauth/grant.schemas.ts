import { z } from 'zod';
import { EXAMPLE_TIMES } from '../../platform/api/examples.js';
import { instant, uuid } from '../../platform/api/schemas.js';
import { GRANT_END_REASONS } from './grant.js';
import type { ListedGrant } from './grants.service.js';

export const GrantView = z
  .object({
    id: uuid,
    app: z.object({
      id: z
        .string()
        .describe('the `client_id`')
        .meta({ examples: ['notes'] }),
      name: z.string().meta({ examples: ['Notes'] }),
    }),
    scopes: z.array(z.string()).meta({ examples: [['openid', 'offline_access']] }),
    endsWithSession: uuid
      .optional()
      .describe('the session in which it was given; without it, the grant outlives a logout'),
    createdAt: instant,
    expiresAt: instant.meta({ examples: [EXAMPLE_TIMES.quarter] }),
    lastUsedAt: instant.optional().describe('when the app got its last token'),
    status: z.enum(['active', 'ended']),
    endReason: z.enum(GRANT_END_REASONS).optional(),
    endedAt: instant.optional(),
  })
  .meta({ id: 'AppGrant' });

export const GrantList = z.object({ items: z.array(GrantView) });

/** A grant as its user and admins see it. */
export function grantViewOf(grant: ListedGrant): z.input<typeof GrantView> {
  const { end } = grant;
  return {
    id: grant.id,
    app: { id: grant.clientId, name: grant.clientName },
    scopes: [...grant.scopes],
    ...(grant.sessionId !== null && { endsWithSession: grant.sessionId }),
    createdAt: iso(grant.createdAt),
    expiresAt: iso(grant.expiresAt),
    ...(grant.lastUsedAt !== null && { lastUsedAt: iso(grant.lastUsedAt) }),
    status: end ? 'ended' : 'active',
    ...(end && { endReason: end.reason }),
    ...(end?.at != null && { endedAt: iso(end.at) }),
  };
}

const iso = (at: number): string => new Date(at).toISOString();
