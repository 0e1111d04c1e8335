import { z } from 'zod';
import { instant } from '../common/schemas.js';
import type { Settings } from '../config/settings.js';
import type { Revocation } from './revocation.entity.js';

/**
 * The receipt counts remaining records up to this number. Counting so many takes PostgreSQL 10 ms, and clients that
 * poll a receipt must not slow down others.
 */
export const MOST_COUNTED = 10_000;

export const Receipt = z
  .object({
    status: z
      .enum(['applied', 'pending'])
      .describe('`applied`: no session-checked request that starts from now on is let in, on any instance'),
    seq: z.int().describe('for `GET /v1/admin/revocations/:seq` and `X-Min-Revocation-Seq`'),
    endedSessions: z.int().describe('of everyone: so far'),
    remainingSessions: z
      .int()
      .optional()
      .describe(
        `of everyone: records still to be ended; their sessions are refused all the same. ${MOST_COUNTED + 1}: more than ${MOST_COUNTED}`,
      ),
    sessionTierBy: instant.describe('from then on, at the latest, every session check refuses'),
    accessTierBy: instant.describe('from then on, at the latest, every access-tier route refuses'),
  })
  .meta({ id: 'Receipt' });
export type Receipt = z.infer<typeof Receipt>;

/** An instance that receives no revocations knows it after 5 s. One more second is for the poll that was running. */
const BLIND_BOUND_MS = 6_000;
const LONGEST_TOKEN_MS = 15 * 60_000;

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
  const verdictsDead = createdAt + settings.cacheLease;
  const applied = revocation.appliedAt !== null || now >= verdictsDead;
  const accessBound = settings.accessWhenBlind === 'allow' ? LONGEST_TOKEN_MS : BLIND_BOUND_MS;
  return {
    status: applied ? 'applied' : 'pending',
    seq: Number(revocation.seq),
    endedSessions: revocation.endedSessions,
    sessionTierBy: new Date(
      Math.min(revocation.appliedAt?.getTime() ?? Infinity, verdictsDead),
    ).toISOString(),
    accessTierBy: new Date(createdAt + accessBound).toISOString(),
  };
}
