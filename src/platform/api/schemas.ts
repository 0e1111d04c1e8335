import { z } from 'zod';

/**
 * A schema for text from users that PostgreSQL can store: no NUL, no other control character, and no lone surrogate.
 * The length counts code points, as people do.
 */
export function text({ min = 1, max }: { min?: number; max: number }) {
  return z
    .string()
    .max(max * 2, `must have at most ${max} characters`)
    .refine((value) => value.isWellFormed(), 'must be well-formed text')
    .refine((value) => !/\p{Cc}/u.test(value), 'must not contain control characters')
    .refine(
      (value) => [...value].length >= min,
      min === 1 ? 'must not be empty' : `must have at least ${min} characters`,
    )
    .refine((value) => [...value].length <= max, `must have at most ${max} characters`)
    .meta({ minLength: min, maxLength: max });
}

export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'must be a UUID')
  .toLowerCase()
  .meta({ format: 'uuid' });

export const instant = z.string().meta({ format: 'date-time' });

/** An instant of a request. Parsed here and not by PostgreSQL, which accepts fewer years and offsets than ISO 8601. */
export const moment = z.iso
  .datetime({ offset: true, error: 'must be a date and time such as 2030-01-31T12:00:00Z' })
  .transform((value) => new Date(value));

/** The response of an event stream, in OpenAPI. */
export const EVENT_STREAM = {
  description: 'server-sent events, until the session ends: then `session_ended` with `code` and `reason`',
  content: { 'text/event-stream': { schema: { type: 'string' as const } } },
};
