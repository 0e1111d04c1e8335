import { z } from 'zod';
import { EXAMPLE_USER } from '../platform/api/examples.js';
import { role } from '../roles.js';
import { instant, text, uuid } from '../platform/api/schemas.js';
import { canonicalEmail, EMAIL_RULE, MAX_EMAIL_LENGTH } from '../platform/mail/email-address.js';
import { PROFILE_FIELDS } from './profile/profile.fields.js';
import type { User } from './user.entity.js';

/** Accepts any spelling of an address and returns the canonical one, see {@link canonicalEmail}. */
export const email = text({ min: 3, max: MAX_EMAIL_LENGTH })
  .transform((value, context) => {
    const canonical = canonicalEmail(value);
    if (canonical !== null) return canonical;
    context.addIssue({ code: 'custom', message: EMAIL_RULE });
    return z.NEVER;
  })
  .meta({ format: 'email' });

export const displayName = text({ max: 100 }).meta({ examples: [EXAMPLE_USER.displayName] });

export const Profile = z
  .object({
    id: uuid.meta({ examples: [EXAMPLE_USER.id] }),
    email: z.string().meta({ examples: [EXAMPLE_USER.email] }),
    displayName: z
      .string()
      .nullable()
      .meta({ examples: [EXAMPLE_USER.displayName] }),
    roles: z.array(role),
    createdAt: instant,
  })
  .meta({ id: 'Profile' });

const FIELDS = Object.entries<z.ZodType>(PROFILE_FIELDS);

/** A user's own profile: with the fields of `profile.fields.ts`. */
export const OwnProfile =
  FIELDS.length === 0
    ? Profile
    : z
        .object({
          ...Object.fromEntries(FIELDS.map(([name, schema]) => [name, schema.nullable()])),
          ...Profile.shape,
        })
        .meta({ id: 'OwnProfile' });

/** Changes of a user's own profile. */
export const ProfileChanges = z.strictObject({
  ...(Object.fromEntries(FIELDS.map(([name, schema]) => [name, schema.nullable().optional()])) as object),
  displayName: displayName.nullable().optional(),
});
export type ProfileChanges = z.infer<typeof ProfileChanges>;

/** The properties of a user that a profile needs. */
export type ProfileFields = Pick<User, 'id' | 'email' | 'displayName' | 'roles' | 'createdAt'>;

export const profileOf = (user: ProfileFields): z.input<typeof Profile> => ({
  id: user.id,
  email: user.email ?? '',
  displayName: user.displayName,
  roles: user.roles,
  createdAt: user.createdAt.toISOString(),
});
