import { z } from 'zod';
import { instant } from '../common/schemas.js';
import type { Settings } from '../config/settings.js';
import type { Revocation } from './revocation.entity.js';

/** Records still to be ended; a receipt that is asked for again and again is not to be felt by others, and counting so many takes PostgreSQL ten milliseconds. */
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

/** An instance that hears nothing knows so after 5 s; one more for the poll that was under way. */
const BLIND_BOUND_MS = 6_000;
const LONGEST_TOKEN_MS = 15 * 60_000;

/**
 * What a revocation promises at `now`, which is the database's time. The bounds are the hard ones, with every store and every
 * instance misbehaving; it is usually everywhere within milliseconds.
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
