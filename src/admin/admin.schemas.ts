import { z } from 'zod';
import { role, ROLES } from '../roles.js';
import { instant, moment, text, uuid } from '../platform/api/schemas.js';
import { pageQuery } from '../platform/api/page.js';
import { TOKEN_ID } from '../sessions/token-id.js';
import { isBanned, type User } from '../users/user.entity.js';
import { Profile, profileOf } from '../users/user.schemas.js';

export const UserQuery = z.strictObject({ ...pageQuery, query: text({ max: 254 }).optional() });

export const AdminUser = Profile.extend({
  banned: z.boolean(),
  banReason: z.string().optional(),
  bannedAt: instant.optional(),
  bannedUntil: instant.nullable().optional(),
}).meta({ id: 'AdminUser' });

export const AdminUserPage = z.object({ items: z.array(AdminUser), nextCursor: z.string().nullable() });

export const SessionQuery = z.strictObject({ status: z.enum(['active', 'ended', 'all']).default('active') });

export const Ban = z.strictObject({
  reason: text({ max: 500 }),
  until: moment.optional(),
});

export const RoleChange = z.strictObject({ roles: z.lazy(() => z.array(role).max(ROLES.names().length)) });

export const Everyone = z.strictObject({ confirm: z.literal('everyone', 'must be "everyone"') });

/** The `jti` of an access token. */
export const TokenId = z.string().regex(TOKEN_ID, 'must be the `jti` of an access token');

/** A sequence number that fits a bigint. */
export const Seq = z.string().regex(/^\d{1,18}$/, 'must be the `seq` of a receipt');

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
  id: z.string(),
  at: instant,
  type: z.string(),
  actorId: uuid.nullable(),
  userId: uuid.nullable(),
  sessionId: uuid.nullable(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  requestId: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
});

export const AuditPage = z.object({ items: z.array(AuditEventView), nextCursor: z.string().nullable() });

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
