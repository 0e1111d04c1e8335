import { z } from 'zod';
import { PRODUCT } from '../../product.js';
import { instant, moment, text, uuid } from '../../platform/api/schemas.js';
import { isNetwork } from '../../platform/settings/settings.js';
import { mayHave, scope, SCOPES, type Scope } from '../../scopes.js';
import { Receipt } from '../../sessions/revocation/receipt.js';
import type { ApiKeyFormat } from './api-key-format.js';
import { KEY_END_REASONS, type StoredApiKey } from './api-key.js';

const MAX_SCOPES = 100;
const MAX_NETWORKS = 20;
/** A month: an overlap is for a deployment, not for ever. */
const MAX_OVERLAP_S = 30 * 24 * 3_600;

const EXAMPLE_KEY_ID = '1vQHcaZLzhs2Hv0m9bd7Fe';

const network = z
  .string()
  .max(64)
  .refine(isNetwork, 'must be an IP address or a network such as 192.0.2.0/24')
  .meta({ description: 'an IP address, or a network such as `192.0.2.0/24`' });

/** Lazy, because features define the scope of the example after this module has loaded. */
const scopes = z.lazy(() =>
  z
    .array(scope)
    .min(1, 'must name at least one scope')
    .max(MAX_SCOPES)
    .transform((scopes) => [...new Set(scopes)])
    .describe('what the key may do: `GET /v1/api-keys/scopes` lists them')
    .meta({
      examples: [
        SCOPES.names()
          .filter((name) => mayHave(name as Scope, ['user']))
          .slice(0, 1),
      ],
    }),
);

export const NewApiKey = z.strictObject({
  name: text({ max: 100 })
    .describe('for people, such as the program that uses the key')
    .meta({ examples: ['Nightly report'] }),
  scopes,
  expiresAt: moment
    .optional()
    .describe('the key is refused from then on; without it the key expires as `API_KEY_MAX_LIFETIME` says'),
  networks: z
    .array(network)
    .max(MAX_NETWORKS)
    .default([])
    .describe('only clients of these addresses may use the key; any may if there are none'),
  requestsPerMinute: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('on each instance; at most as `API_KEY_REQUESTS_PER_MINUTE` says'),
});
export type NewApiKey = z.output<typeof NewApiKey>;

export const Rotation = z.strictObject({
  overlapSeconds: z
    .int('must be a whole number of seconds')
    .min(0, 'must not be negative')
    .max(MAX_OVERLAP_S, 'must be at most 30 days')
    .describe('for this long the former secret is accepted as well; 0 for a leaked secret')
    .meta({ examples: [3_600] }),
});

export const ApiKeyView = z
  .object({
    id: uuid,
    name: z.string().meta({ examples: ['Nightly report'] }),
    prefix: z
      .string()
      .describe('everything before the secret: it tells which key a program has')
      .meta({ examples: [`${PRODUCT.apiKeyPrefix}_${EXAMPLE_KEY_ID}`] }),
    scopes: z.array(z.string()).meta({ examples: [['orders:read']] }),
    networks: z.array(z.string()).meta({ examples: [[]] }),
    requestsPerMinute: z.int().optional(),
    createdAt: instant,
    expiresAt: instant.optional(),
    lastUsedAt: instant.optional().describe('some seconds behind'),
    rotatedAt: instant.optional(),
    overlapEndsAt: instant.optional().describe('until then the secret before the last rotation is accepted'),
    formerKeyUses: z
      .array(z.object({ address: z.string(), lastUsedAt: instant }))
      .optional()
      .describe('who has used the secret before the last rotation and not yet the new one'),
    status: z.enum(['active', 'expired', 'ended']),
    endReason: z.enum(KEY_END_REASONS).optional(),
    endedAt: instant.optional(),
  })
  .meta({ id: 'ApiKey' });

export const ApiKeyList = z.object({ items: z.array(ApiKeyView) });

export const ApiKeyWithSecret = ApiKeyView.extend({
  key: z
    .string()
    .describe('the key itself, for `X-API-Key`. It is shown only in this answer')
    .meta({ examples: [`${PRODUCT.apiKeyPrefix}_${EXAMPLE_KEY_ID}_the-secret-part`] }),
}).meta({ id: 'ApiKeyWithSecret' });

export const RotatedApiKey = ApiKeyWithSecret.extend({
  receipt: Receipt,
}).meta({ id: 'RotatedApiKey' });

export const ScopeList = z.object({
  items: z.array(
    z.object({
      scope: z.string().meta({ examples: ['orders:read'] }),
      description: z.string().meta({ examples: ['Read your orders'] }),
    }),
  ),
});

/** A key as its owner and admins see it. @param now milliseconds since the epoch */
export function apiKeyViewOf(
  key: StoredApiKey,
  format: ApiKeyFormat,
  now: number,
): z.input<typeof ApiKeyView> {
  const isExpired = key.status === 'active' && key.expiresAt !== null && key.expiresAt <= now;
  const overlaps = key.previousUntil !== null && key.previousUntil > now && key.status === 'active';
  return {
    id: key.id,
    name: key.name,
    prefix: format.publicPartOf(key.id),
    scopes: [...key.scopes],
    networks: [...key.networks],
    ...(key.requestsPerMinute !== null && { requestsPerMinute: key.requestsPerMinute }),
    createdAt: iso(key.createdAt),
    ...(key.expiresAt !== null && { expiresAt: iso(key.expiresAt) }),
    ...(key.lastUsedAt !== null && { lastUsedAt: iso(key.lastUsedAt) }),
    ...(key.rotatedAt !== null && { rotatedAt: iso(key.rotatedAt) }),
    ...(overlaps && {
      overlapEndsAt: iso(key.previousUntil!),
      formerKeyUses: key.previousUses.map(({ network: address, lastUsedAt }) => ({
        address,
        lastUsedAt: iso(lastUsedAt),
      })),
    }),
    status: isExpired ? 'expired' : key.status,
    ...(key.endReason !== null && { endReason: key.endReason }),
    ...(key.endedAt !== null && { endedAt: iso(key.endedAt) }),
  };
}

const iso = (instant: number): string => new Date(instant).toISOString();
