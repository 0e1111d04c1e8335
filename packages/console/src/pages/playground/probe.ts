import { api } from '../../api.js';

/** The same question to two routes: "who am I?" */
export const TIERS = {
  access: '/v1/auth/whoami',
  session: '/v1/sessions/current',
} as const;
export type Tier = keyof typeof TIERS;

export interface Sample {
  at: number;
  status: number;
  /** The problem's code; absent for an answer with 200. */
  code?: string;
  /** Why the session ended, if the server says so. */
  reason?: string;
  /** Between request and answer, in milliseconds. */
  roundTrip: number;
  /** The part of it in which the server checked the caller, and the store that answered. */
  check?: { store: string; duration: string };
}

/**
 * Sends one request as any script of the page could. The client is not asked, because it would refresh, and would show
 * the login when the session has ended. Only an expired token is refreshed, by the client.
 */
export async function probe(tier: Tier): Promise<Sample> {
  const sample = await send(tier);
  if (sample.code !== 'auth.token_expired') return sample;
  await api.fetch(TIERS[tier]).catch(() => undefined);
  return send(tier);
}

async function send(tier: Tier): Promise<Sample> {
  const startedAt = performance.now();
  const response = await fetch(TIERS[tier], { credentials: 'same-origin' });
  const roundTrip = performance.now() - startedAt;
  const { code, reason } = response.ok ? {} : await response.json();
  const check = checkOf(response.headers.get('server-timing'), tier);
  return { at: Date.now(), status: response.status, code, reason, roundTrip, check };
}

/** Parses `access;desc="memory";dur=0.1, session;desc="cache";dur=0.6` (W3C Server Timing). */
function checkOf(header: string | null, tier: Tier): Sample['check'] {
  const found = header?.match(new RegExp(`\\b${tier};desc="(\\w+)";dur=([\\d.]+)`));
  return found ? { store: found[1]!, duration: found[2]! } : undefined;
}
