import { z } from 'zod';
import { EXAMPLE_DEVICE, EXAMPLE_TIMES } from '../platform/api/examples.js';
import { instant, uuid } from '../platform/api/schemas.js';
import { CARRIERS, carrierOf } from './binding/session-binding.js';
import { END_REASONS } from './revocation/end-reason.js';
import { TRANSPORTS } from './session.entity.js';
import { expiryOf, judge, type Lifetimes, type SessionSnapshot } from './check/session-snapshot.js';

export const SessionView = z
  .object({
    id: uuid,
    status: z.enum(['active', 'ended']),
    current: z.boolean().optional(),
    endReason: z.enum(END_REASONS).optional(),
    endedAt: instant.optional(),
    transport: z.enum(TRANSPORTS),
    device: z.object({
      id: uuid,
      name: z.string().meta({ examples: [EXAMPLE_DEVICE.name] }),
      browser: z
        .string()
        .optional()
        .meta({ examples: [EXAMPLE_DEVICE.browser] }),
      os: z
        .string()
        .optional()
        .meta({ examples: [EXAMPLE_DEVICE.os] }),
      firstSeenAt: instant,
    }),
    ip: z
      .string()
      .nullable()
      .meta({ examples: [EXAMPLE_DEVICE.ip] }),
    country: z.string().optional(),
    createdAt: instant,
    lastSeenAt: instant,
    authenticatedAt: instant,
    secondFactorAt: instant.optional().describe('when a second factor was last verified in this session'),
    binding: z
      .object({ carrier: z.enum(CARRIERS), boundAt: instant })
      .optional()
      .describe(
        'the session is bound to a key of its device, so copies of its cookies and tokens are refused',
      ),
    idleExpiresAt: instant.meta({ examples: [EXAMPLE_TIMES.month] }),
    expiresAt: instant.meta({ examples: [EXAMPLE_TIMES.quarter] }),
  })
  .meta({ id: 'Session' });
export type SessionView = z.infer<typeof SessionView>;

export const SessionList = z.object({ items: z.array(SessionView) });

/** A session as its owner and admins see it. Its status is judged now, even if the record still says `active`. */
export function viewOf(session: SessionSnapshot, settings: Lifetimes, now: number): SessionView {
  const ended = judge(session, settings, now);
  const { idleAt, expiresAt } = expiryOf(session, settings);
  const { device } = session;
  return {
    id: session.id,
    status: ended ? 'ended' : 'active',
    ...(ended && { endReason: ended.reason, endedAt: iso(ended.at) }),
    transport: session.transport,
    device: {
      id: device.id,
      name: device.name,
      ...(device.browser && { browser: device.browser }),
      ...(device.os && { os: device.os }),
      firstSeenAt: iso(device.firstSeenAt),
    },
    ip: session.ip,
    ...(session.country && { country: session.country }),
    createdAt: iso(session.createdAt),
    lastSeenAt: iso(session.lastSeenAt),
    authenticatedAt: iso(session.authenticatedAt),
    ...(session.secondFactorAt !== null && { secondFactorAt: iso(session.secondFactorAt) }),
    ...(session.binding && {
      binding: { carrier: carrierOf(session.transport), boundAt: iso(session.binding.boundAt) },
    }),
    idleExpiresAt: iso(Math.min(idleAt, expiresAt)),
    expiresAt: iso(expiresAt),
  };
}

function iso(instant: number): string {
  return new Date(instant).toISOString();
}
