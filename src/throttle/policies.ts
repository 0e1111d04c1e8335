import type { Duration } from '../common/duration.js';

export interface Limit {
  limit: number;
  per: Duration;
}

/** What a limit is counted by. */
export interface Policy {
  /** The client's IPv4 address or IPv6 /64. Generous: an office or a mobile network is one address. */
  address: Limit;
  /** The `email` of the body, whether or not somebody has it. */
  account?: Limit;
  /** A refresh token, cookie or body, that is shown again and again. */
  token?: Limit;
  /** The caller, on routes that know one. */
  user?: Limit;
  /** All clients together. Short, since whoever exhausts it keeps others out. */
  everyone?: Limit;
}

/**
 * What `@Throttled(name)` means. These count requests; what guesses at a secret cost is counted by `Guesses` as well,
 * after the body has been validated.
 */
export const POLICIES = {
  login: { address: { limit: 600, per: '10m' } },
  mfa: { address: { limit: 600, per: '10m' } },
  reauthenticate: { address: { limit: 600, per: '10m' } },
  // Two for a login, and one for each look at a login page that offers passkeys as it is opened.
  passkey: { address: { limit: 1_800, per: '10m' } },
  // Each costs a hash. Ten a second is more than any launch has seen.
  register: { address: { limit: 100, per: '1h' }, everyone: { limit: 600, per: '1m' } },
  // A client refreshes each 15 minutes: this is an address with thousands of them.
  refresh: { address: { limit: 3_000, per: '10m' }, token: { limit: 60, per: '1m' } },
  logout: { address: { limit: 3_000, per: '10m' } },
  // Each is a mail to somebody.
  password_forgot: {
    address: { limit: 30, per: '1h' },
    account: { limit: 5, per: '1h' },
    everyone: { limit: 120, per: '1m' },
  },
  password_reset: { address: { limit: 100, per: '1h' } },
  password_change: { address: { limit: 600, per: '10m' } },
  email_change: { address: { limit: 100, per: '1h' }, user: { limit: 5, per: '1h' } },
  email_verify: { address: { limit: 100, per: '1h' } },
} as const satisfies Record<string, Policy>;

export type PolicyName = keyof typeof POLICIES;

/** Wrong guesses from devices that the account does not know. Known ones have buckets of their own. */
export const STRANGERS = {
  address: { limit: 100, per: '1h' },
  // A botnet that sprays is held to ten a second; it takes as many to keep new devices out, for as long as it goes on.
  everyone: { limit: 600, per: '1m' },
} as const satisfies Record<string, Limit>;

/** Wrong signatures. They are no guesses, nobody comes nearer by them: this only spares us the work and the log. */
export const WRONG_SIGNATURES = { limit: 100, per: '1h' } as const satisfies Limit;
