import { z } from 'zod';

/** The instructions to a browser (W3C DBSC, JSON Session Instruction Format). */
export const SessionInstructions = z
  .object({
    session_identifier: z.string(),
    refresh_url: z.string(),
    scope: z.object({
      origin: z.string().optional(),
      include_site: z.literal(false),
      scope_specification: z.array(
        z.object({ type: z.enum(['include', 'exclude']), domain: z.string(), path: z.string() }),
      ),
    }),
    credentials: z.array(z.object({ type: z.literal('cookie'), name: z.string(), attributes: z.string() })),
    allowed_refresh_initiators: z.array(z.string()),
  })
  .meta({ id: 'SessionInstructions' });
export type SessionInstructions = z.infer<typeof SessionInstructions>;

/** The session has ended, so the browser forgets its key. Chromium reports an error if its identifier is missing. */
export const SessionStopped = z.object({
  session_identifier: z.string().optional(),
  continue: z.literal(false),
});
export type SessionStopped = z.infer<typeof SessionStopped>;
