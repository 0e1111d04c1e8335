import type { Settings } from '../settings/settings.js';

export const COOKIE_KINDS = ['access', 'refresh', 'device', 'bound'] as const;
export type CookieKind = (typeof COOKIE_KINDS)[number];
export type CookieNames = Readonly<Record<CookieKind, string>>;

export type CookieSettings = Pick<Settings, 'cookieSecure' | 'cookiePrefix'>;

const named = new WeakMap<CookieSettings, CookieNames>();

/**
 * The names of the cookies, built once for each object of settings. `__Host-` binds a cookie to this host over TLS:
 * neither a sibling domain nor plain HTTP can set it (RFC 6265bis 4.1.3.2). `COOKIE_PREFIX` tells the cookies of two
 * products on one host apart, because browsers ignore the port.
 *
 * ```ts
 * cookieNamesOf({ cookieSecure: true, cookiePrefix: 'shop' }).access; // __Host-shop-access
 * ```
 */
export function cookieNamesOf(settings: CookieSettings): CookieNames {
  let names = named.get(settings);
  if (!names) named.set(settings, (names = build(settings)));
  return names;
}

function build({ cookieSecure, cookiePrefix }: CookieSettings): CookieNames {
  const before = (cookieSecure ? '__Host-' : '') + (cookiePrefix ? `${cookiePrefix}-` : '');
  return {
    access: `${before}access`,
    refresh: `${before}refresh`,
    device: `${before}device`,
    bound: `${before}bound`,
  };
}
