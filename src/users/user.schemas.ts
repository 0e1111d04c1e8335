import { z } from 'zod';
import { ROLES } from '../common/roles.js';
import { instant, text, uuid } from '../common/schemas.js';
import { canonicalEmail, type User } from './user.entity.js';

/** 254 is the most that fits an SMTP path (RFC 5321 4.5.3.1.3). */
export const email = text({ min: 3, max: 254 })
  .regex(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'must be an e-mail address')
  .transform(canonicalEmail)
  .meta({ format: 'email' });

export const displayName = text({ max: 100 });

export const Profile = z
  .object({
    id: uuid,
    email: z.string(),
    displayName: z.string().nullable(),
    roles: z.array(z.enum(ROLES)),
    createdAt: instant,
  })
  .meta({ id: 'Profile' });

/** Whoever a profile can be made of. */
export type Profiled = Pick<User, 'id' | 'email' | 'displayName' | 'roles' | 'createdAt'>;

export const profileOf = (user: Profiled): z.input<typeof Profile> => ({
  id: user.id,
  email: user.email ?? '',
  displayName: user.displayName,
  roles: user.roles,
  createdAt: user.createdAt.toISOString(),
});
