import { z } from 'zod';
import { EXAMPLE_TIMES, EXAMPLE_USER } from '../../platform/api/examples.js';
import { END_REASONS } from '../../sessions/revocation/end-reason.js';

const ms = (description: string) =>
  z
    .int()
    .describe(`${description}, in milliseconds since the epoch`)
    .meta({ examples: [Date.parse(EXAMPLE_TIMES.now)] });

const FeedEntry = z
  .object({
    seq: z
      .int()
      .describe('the number of the revocation, as in its receipt')
      .meta({ examples: [42] }),
    kind: z.enum(['token', 'session', 'user', 'everyone']).meta({ examples: ['user'] }),
    subjects: z
      .array(z.string())
      .describe('ids of sessions, of users, or of access tokens (`jti`)')
      .meta({ examples: [[EXAMPLE_USER.id]] }),
    reason: z
      .string()
      .describe(`why they ended: ${END_REASONS.join(', ')}, or that of another credential`)
      .meta({ examples: ['admin'] }),
    notBefore: ms('sessions that were created up to then are denied').nullable(),
    createdAt: ms('when they ended'),
    expiresAt: ms('when the last access token that it concerns has expired'),
  })
  .meta({ id: 'FeedEntry' });

export const FeedSnapshot = z
  .object({
    cursor: z
      .string()
      .describe('for `Last-Event-ID`')
      .meta({ examples: ['3f9a.42'] }),
    statement: z
      .string()
      .describe('a compact JWS: the position, and the SHA-256 of the bytes of `entries`')
      .meta({ examples: ['eyJhbGciOiJFUzI1NiJ9.….…'] }),
    entries: z.array(FeedEntry),
  })
  .meta({ id: 'FeedSnapshot' });

/** A cursor is a text of its instance. An unknown one, of any form, gets the event `list_again`. */
export const FeedQuery = z.strictObject({
  after: z.string().max(100).optional().describe('as `Last-Event-ID`, for clients that cannot set headers'),
});
