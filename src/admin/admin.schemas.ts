import { z } from 'zod';
import { EXAMPLE_DEVICE, EXAMPLE_USER } from '../platform/api/examples.js';
import { role, ROLES } from '../roles.js';
import { instant, moment, text, uuid } from '../platform/api/schemas.js';
import { pageQuery } from '../platform/api/page.js';
import { TOKEN_ID } from '../sessions/token-id.js';
import { isBanned, type User } from '../users/user.entity.js';
import { Profile, profileOf } from '../users/user.schemas.js';

const nextCursor = z
  .string()
  .nullable()
  .meta({ examples: [null] });
const userId = uuid.nullable().meta({ examples: [EXAMPLE_USER.id] });

export const UserQuery = z.strictObject({ ...pageQuery, query: text({ max: 254 }).optional() });

export const AdminUser = Profile.extend({
  banned: z.boolean().meta({ examples: [false] }),
  banReason: z.string().optional(),
  bannedAt: instant.optional(),
  bannedUntil: instant.nullable().optional(),
}).meta({ id: 'AdminUser' });

export const AdminUserPage = z.object({ items: z.array(AdminUser), nextCursor });

export const SessionQuery = z.strictObject({ status: z.enum(['active', 'ended', 'all']).default('active') });

export const Ban = z.strictObject({
  reason: text({ max: 500 }).meta({ examples: ['Sends spam'] }),
  until: moment.optional(),
});

export const RoleChange = z.strictObject({ roles: z.lazy(() => z.array(role).max(ROLES.names().length)) });

export const Everyone = z.strictObject({ confirm: z.literal('everyone', 'must be "everyone"') });

/** The `jti` of an access token. */
export const TokenId = z
  .string()
  .regex(TOKEN_ID, 'must be the `jti` of an access token')
  .meta({ examples: ['the-jti-of-an-access-token'.padEnd(43, '-')] });

/** A sequence number that fits a bigint. */
export const Seq = z
  .string()
  .regex(/^\d{1,18}$/, 'must be the `seq` of a receipt')
  .meta({ examples: ['42'] });

export const AuditQuery = z.strictObject({
  ...pageQuery,
  userId: uuid.optional(),
  type: z
    .string()
    .regex(/^[a-z_]{1,60}$/, 'must be the name of an event')
    .optional(),
  from: moment.optional(),
  to: moment.optional(),
});

export const AuditEventView = z.object({
  id: z.string().meta({ examples: ['1042'] }),
  at: instant,
  type: z.string().meta({ examples: ['login'] }),
  actorId: userId,
  userId,
  sessionId: uuid.nullable(),
  ip: z
    .string()
    .nullable()
    .meta({ examples: [EXAMPLE_DEVICE.ip] }),
  userAgent: z
    .string()
    .nullable()
    .meta({ examples: [EXAMPLE_DEVICE.userAgent] }),
  requestId: z
    .string()
    .nullable()
    .meta({ examples: ['7d4f1c52-3b0e-4d6a-9c1f-2f6a0e7b9d11'] }),
  details: z.record(z.string(), z.unknown()).meta({ examples: [{ transport: 'cookie' }] }),
});

export const AuditPage = z.object({ items: z.array(AuditEventView), nextCursor });

/**
 * A user as admins see it.
 *
 * @param now milliseconds since the epoch; decides whether a ban is in force
 */
export function adminViewOf(user: User, now: number): z.input<typeof AdminUser> {
  const banned = isBanned(user, now);
  return {
    ...profileOf(user),
    banned,
    ...(banned && {
      banReason: user.banReason ?? undefined,
      bannedAt: user.bannedAt?.toISOString(),
      bannedUntil: user.bannedUntil?.toISOString() ?? null,
    }),
  };
}
