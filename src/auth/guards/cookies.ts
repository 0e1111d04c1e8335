import { stringifySetCookie } from 'cookie';
import type { FastifyReply } from 'fastify';
import {
  COOKIE_KINDS,
  cookieNamesOf,
  type CookieKind,
  type CookieNames,
  type CookieSettings,
} from '../../platform/http/cookie-names.js';

/** Browsers keep a cookie for at most 400 days (RFC 6265bis 5.5). This does not limit the session. */
export const MAX_COOKIE_AGE_S = 400 * 86_400;

/**
 * @param maxAge seconds. Token cookies last as long as the session may, so that an expired access token still leads
 *   to a refresh.
 */
export function setCookie(
  reply: FastifyReply,
  kind: CookieKind,
  value: string,
  settings: CookieSettings,
  maxAge: number,
): void {
  write(reply, kind, value, settings, Math.min(maxAge, MAX_COOKIE_AGE_S));
}

/** Makes the browser delete these cookies. */
export function clearCookies(reply: FastifyReply, kinds: CookieKind[], settings: CookieSettings): void {
  for (const kind of kinds) write(reply, kind, '', settings, 0);
}

function write(
  reply: FastifyReply,
  kind: CookieKind,
  value: string,
  settings: CookieSettings,
  maxAge: number,
): void {
  const cookie = stringifySetCookie({
    name: cookieNamesOf(settings)[kind],
    value,
    httpOnly: true,
    secure: settings.cookieSecure,
    sameSite: 'lax',
    path: '/',
    maxAge,
  });
  void reply.header('set-cookie', cookie);
}

/**
 * All values of each of our cookies in a `Cookie` header. Names are compared exactly, and values are not decoded, so
 * that no other spelling of a name passes for one of our cookies.
 */
export function readCookies(header: string | undefined, names: CookieNames): Record<CookieKind, string[]> {
  const found: Record<CookieKind, string[]> = { access: [], refresh: [], device: [], bound: [] };
  if (!header) return found;
  for (const pair of header.split(';')) {
    const text = pair.startsWith(' ') ? pair.slice(1) : pair;
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(equals, 0));
    const kind = COOKIE_KINDS.find((candidate) => name === names[candidate]);
    if (kind) found[kind].push(text.slice(equals + 1));
  }
  return found;
}
