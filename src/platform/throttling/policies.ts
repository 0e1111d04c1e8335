import type { Duration } from '../settings/duration.js';

/** A number of requests or attempts per time window. */
export interface Limit {
  limit: number;
  per: Duration;
}

/** The limits of a policy. Each limit has its own key. */
export interface Policy {
  /** By the client's IPv4 address or IPv6 /64. Generous, because an office or a mobile network may be one address. */
  address: Limit;
  /** By the `email` of the body, whether or not the address is registered. */
  account?: Limit;
  /** By a refresh token (cookie or body) that is sent repeatedly. */
  token?: Limit;
  /** By the caller, on routes that have one. */
  user?: Limit;
  /** By all clients together. The window is short, because a client that exhausts it blocks the others. */
  everyone?: Limit;
}

/**
 * The policies of `@Throttled(name)`. They count requests. `AttemptLimiter` also counts attempts at a secret, after the body
 * has been validated.
 */
export const POLICIES = {
  login: { address: { limit: 600, per: '10m' } },
  mfa: { address: { limit: 600, per: '10m' } },
  reauthenticate: { address: { limit: 600, per: '10m' } },
  // Two requests for a login, and one for each visit of a login page that offers passkeys when it opens.
  passkey: { address: { limit: 1_800, per: '10m' } },
  // Each request costs a password hash. Ten a second are more than any launch has had.
  register: { address: { limit: 100, per: '1h' }, everyone: { limit: 600, per: '1m' } },
  // A client refreshes every 15 minutes, so this allows an address with thousands of clients.
  refresh: { address: { limit: 3_000, per: '10m' }, token: { limit: 60, per: '1m' } },
  // A browser in use proves its device key every three minutes, so this allows an address with 6,000 of them.
  device_binding: { address: { limit: 20_000, per: '10m' } },
  logout: { address: { limit: 3_000, per: '10m' } },
  // Each request sends a mail.
  password_forgot: {
    address: { limit: 30, per: '1h' },
    account: { limit: 5, per: '1h' },
    everyone: { limit: 120, per: '1m' },
  },
  password_reset: { address: { limit: 100, per: '1h' } },
  password_change: { address: { limit: 600, per: '10m' } },
  email_change: { address: { limit: 100, per: '1h' }, user: { limit: 5, per: '1h' } },
  oauth: { address: { limit: 3_000, per: '10m' } }, // an app on a server refreshes the tokens of all its users
  social: { address: { limit: 600, per: '10m' } },
  // A provider ends many people at once, from few addresses.
  global_revocation: { address: { limit: 3_000, per: '10m' } },
  leaked_keys: { address: { limit: 600, per: '10m' } },
  email_verify: { address: { limit: 100, per: '1h' } },
} as const satisfies Record<string, Policy>;

export type PolicyName = keyof typeof POLICIES;

/** Failed attempts from devices that the account does not know. Known devices have their own counters. */
export const UNKNOWN_DEVICES = {
  address: { limit: 100, per: '1h' },
  // Limits a botnet that sprays passwords to ten attempts a second. The same rate blocks logins from new devices for
  // as long as the attack lasts.
  everyone: { limit: 600, per: '1m' },
} as const satisfies Record<string, Limit>;

/**
 * Wrong signatures. They are not attempts at a secret and bring an attacker no closer. The limit only saves work and
 * log entries.
 */
export const WRONG_SIGNATURES = { limit: 100, per: '1h' } as const satisfies Limit;
