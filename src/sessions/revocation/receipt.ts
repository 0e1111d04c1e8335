import { z } from 'zod';
import { EXAMPLE_TIMES } from '../../platform/api/examples.js';
import { instant } from '../../platform/api/schemas.js';
import type { Settings } from '../../platform/settings/settings.js';
import type { Revocation } from './revocation.entity.js';

/**
 * The receipt counts remaining records up to this number. Counting so many takes PostgreSQL 10 ms, and clients that
 * poll a receipt must not slow down others.
 */
export const MAX_COUNTED = 10_000;

export const Receipt = z
  .object({
    status: z
      .enum(['applied', 'pending'])
      .describe('`applied`: every instance refuses session-checked requests that start from now on'),
    seq: z
      .int()
      .describe('the number for `GET /v1/admin/revocations/:seq` and `X-Min-Revocation-Seq`')
      .meta({ examples: [42] }),
    endedSessions: z
      .int()
      .describe('for `everyone`: the number so far')
      .meta({ examples: [1] }),
    remainingSessions: z
      .int()
      .optional()
      .describe(
        `for \`everyone\`: session records that are not ended yet; the sessions are already refused. ${MAX_COUNTED + 1}: more than ${MAX_COUNTED}`,
      ),
    sessionTierBy: instant.describe('every session check refuses at the latest from this time on'),
    accessTierBy: instant
      .describe('every access-tier route refuses at the latest from this time on')
      .meta({ examples: [EXAMPLE_TIMES.soon] }),
  })
  .meta({ id: 'Receipt' });
export type Receipt = z.infer<typeof Receipt>;

/** For the API document: the session cache does not yet have the revocation, so the bounds count. */
export const PENDING_EXAMPLE: Receipt = {
  status: 'pending',
  seq: 42,
  endedSessions: 1,
  sessionTierBy: '2026-01-31T12:00:30.000Z',
  accessTierBy: EXAMPLE_TIMES.soon,
};

/** An instance that receives no revocations knows it after 5 s. One more second is for the poll that was running. */
const BLIND_BOUND_MS = 6_000;
const MAX_TOKEN_MS = 15 * 60_000;

/**
 * The promise that a revocation makes at `now`, by the database's clock in milliseconds since the epoch. The bounds
 * are hard: they are valid even if every store and every instance fails. Usually a revocation is in force everywhere
 * within milliseconds.
 */
export function receiptOf(
  revocation: Revocation,
  settings: Pick<Settings, 'cacheLease' | 'accessWhenBlind'>,
  now: number,
): Receipt {
  const createdAt = revocation.createdAt.getTime();
  const cachedUntil = createdAt + settings.cacheLease;
  const applied = revocation.appliedAt !== null || now >= cachedUntil;
  const accessBound = settings.accessWhenBlind === 'allow' ? MAX_TOKEN_MS : BLIND_BOUND_MS;
  return {
    status: applied ? 'applied' : 'pending',
    seq: Number(revocation.seq),
    endedSessions: revocation.endedSessions,
    sessionTierBy: new Date(Math.min(revocation.appliedAt?.getTime() ?? Infinity, cachedUntil)).toISOString(),
    accessTierBy: new Date(createdAt + accessBound).toISOString(),
  };
}
