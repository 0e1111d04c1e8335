import type { z } from 'zod';
import type { UserProfile } from './profile.entity.js';

type Fields = { [Name in Exclude<keyof UserProfile, 'userId'>]: z.ZodType<NonNullable<UserProfile[Name]>> };

/**
 * The schema of each column of {@link UserProfile}. Users read and change these fields with `/v1/users/me`. A field is
 * null until the user sets it.
 *
 * ```ts
 * export const PROFILE_FIELDS = { company: text({ max: 100 }) } satisfies Fields;
 * ```
 */
export const PROFILE_FIELDS = {} satisfies Fields;
