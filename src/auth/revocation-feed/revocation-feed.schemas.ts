import { z } from 'zod';
import { END_REASONS } from '../../sessions/revocation/end-reason.js';

const ms = (description: string) => z.int().describe(`${description}, in milliseconds since the epoch`);

const FeedEntry = z
  .object({
    seq: z.int().describe('the number of the revocation, as in its receipt'),
    kind: z.enum(['token', 'session', 'user', 'everyone']),
    subjects: z.array(z.string()).describe('ids of sessions, of users, or of access tokens (`jti`)'),
    reason: z.string().describe(`why they ended: ${END_REASONS.join(', ')}, or that of another credential`),
    notBefore: ms('sessions that were created up to then are denied').nullable(),
    createdAt: ms('when they ended'),
    expiresAt: ms('when the last access token that it concerns has expired'),
  })
  .meta({ id: 'FeedEntry' });

export const FeedSnapshot = z
  .object({
    cursor: z.string().describe('for `Last-Event-ID`'),
    statement: z.string().describe('a compact JWS: the position, and the SHA-256 of the bytes of `entries`'),
    entries: z.array(FeedEntry),
  })
  .meta({ id: 'FeedSnapshot' });

/** A cursor is a text of its instance. An unknown one, of any form, gets the event `list_again`. */
export const FeedQuery = z.strictObject({
  after: z.string().max(100).optional().describe('as `Last-Event-ID`, for clients that cannot set headers'),
});
