import { z } from 'zod';
import { text, uuid } from '#core';
import { ACTS, CROSS_SITE_ATTEMPTS } from './acts.js';
import type { Loot } from './heist-run.js';

/** A path has text only. */
export const act = z.coerce.number().pipe(z.literal([...ACTS]));
export const runId = uuid;

export const RunQuery = z.object({ run: uuid });
export type RunQuery = z.infer<typeof RunQuery>;

export const HeistStart = z.strictObject({
  /** Demo users without special rights. */
  victim: z.enum(['alice@example.com', 'bob@example.com']).default('alice@example.com'),
  contentSecurityPolicy: z.boolean().default(false),
});
export type HeistStart = z.infer<typeof HeistStart>;

export const Violation = z.strictObject({ directive: text({ max: 100 }), blocked: text({ max: 500 }) });
export type Violation = z.infer<typeof Violation>;

export const Attempts = z.strictObject({
  attempts: z.array(z.enum(CROSS_SITE_ATTEMPTS)).min(1).max(CROSS_SITE_ATTEMPTS.length),
});
export type Attempts = z.infer<typeof Attempts>;

/** The thief sends these in headers. */
const printable = z
  .string()
  .max(8_192)
  .regex(/^[\x20-\x7E]*$/);

const Stolen = z.object({
  session: z.string().nullable(),
  storedKeys: z.array(z.string().max(200)).max(100),
  cookies: printable,
});
const StolenSession = z.object({ accessToken: printable, refreshToken: printable });

export const LootQuery = z.object({ run: uuid, loot: z.string().max(14_000) });
export type LootQuery = z.infer<typeof LootQuery>;

/** @returns null if the text is not what the injected script sends */
export function parseLoot(json: string): Loot | null {
  const { data } = Stolen.safeParse(parsed(json));
  if (!data) return null;
  const session = data.session === null ? null : (StolenSession.safeParse(parsed(data.session)).data ?? null);
  return { ...data, session };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
