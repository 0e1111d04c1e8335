import { DESCRIPTIONS, type Act } from './acts.js';

/** The findings that the injected script has sent to the thief. */
export interface Loot {
  /** The item `session` of localStorage, if it contained tokens. */
  session: { accessToken: string; refreshToken: string } | null;
  /** The names of all items of localStorage. */
  storedKeys: string[];
  /** The value of `document.cookie`. */
  cookies: string;
}

/** A request of the run, as the server has seen and answered it. */
export interface RecordedRequest {
  at: string;
  /** The sender names itself: `owner`, `script`, `thief`, or an attempt of the other site. */
  as: string;
  method: string;
  path: string;
  status: number;
  code: string | null;
  /** Why the session has ended, if the answer says so. */
  reason: string | null;
  origin: string | null;
  secFetchSite: string | null;
  /** The names of the cookies that arrived. */
  cookies: string[];
  userAgent: string | null;
  ip: string | null;
}

/** A request that the thief has sent with the loot, as the thief sees its answer. */
export interface ThiefUse {
  /** When the thief sent it. */
  at: string;
  method: string;
  path: string;
  /** The credential that the thief presented. */
  presented: 'access token' | 'refresh token' | 'cookies';
  status: number;
  code: string | null;
  reason: string | null;
  endedAt: string | null;
  /** The answer that the thief has read. Absent if it contains tokens. */
  body?: unknown;
}

/** Something that the content security policy of the page has blocked. */
export interface Violation {
  directive: string;
  blocked: string;
}

/** One performance of an act, which begins when the visitor starts it. */
export interface HeistRun {
  readonly id: string;
  readonly act: Act;
  /** The e-mail address of the demo user who is robbed. */
  readonly victim: string;
  readonly victimOrigin: string;
  readonly thiefOrigin: string;
  /** Whether the forum is served with a content security policy. */
  readonly contentSecurityPolicy: boolean;
  loot: Loot | null;
  /** The names of the attempts of act 3, once the page of the thief has made them. */
  attempts: string[] | null;
  readonly uses: ThiefUse[];
  readonly requests: RecordedRequest[];
  readonly violations: Violation[];
}

/** `stolen` and `accepted`: the thief has won. `missed`: the thief has refreshed, and the owner has not yet. */
export type HeistResult = 'stolen' | 'nothing' | 'blocked' | 'refused' | 'accepted' | 'caught' | 'missed';

/** The result of a run, from what the server has recorded. @returns null while the act goes on */
export function resultOf(run: HeistRun): HeistResult | null {
  if (run.act === 3) return resultOfCrossSite(run);
  if (run.act === 4) return resultOfReuse(run);
  const [use] = run.uses;
  if (use) return use.status === 200 ? 'stolen' : 'nothing';
  return run.violations.length > 0 ? 'blocked' : null;
}

function resultOfCrossSite({ attempts, requests }: HeistRun): HeistResult | null {
  if (!attempts || attempts.length === 0) return null;
  const sent = requests.filter(({ as }) => attempts.includes(as));
  // A preflight asks for permission and changes nothing.
  if (sent.some(({ method, status }) => method !== 'OPTIONS' && status < 400)) return 'accepted';
  return attempts.every((attempt) => sent.some(({ as }) => as === attempt)) ? 'refused' : null;
}

/** Either side may refresh first. The second use of the token shows that there are two. */
function resultOfReuse({ uses, requests }: HeistRun): HeistResult | null {
  if ([...uses, ...requests].some(({ reason }) => reason === 'refresh_reuse')) return 'caught';
  const last = uses.at(-1);
  if (!last) return null;
  return last.status === 200 ? 'missed' : 'nothing';
}

/**
 * The earliest time, in milliseconds since the epoch, of the transaction that ended the session for the reuse. Either
 * side may have caused it: the thief's own request did, unless the session had ended before.
 */
export function caughtSince({ uses }: HeistRun): number | null {
  const use = uses.find(({ reason }) => reason === 'refresh_reuse');
  return use?.endedAt ? Math.min(Date.parse(use.at), Date.parse(use.endedAt)) : null;
}

/** The transport of the forum in this run. */
export const transportOf = ({ act }: HeistRun) => DESCRIPTIONS[act].transport;
