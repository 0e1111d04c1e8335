import { stringifySetCookie } from 'cookie';
import type { FastifyReply } from 'fastify';

export const COOKIE_KINDS = ['access', 'refresh', 'device'] as const;
export type CookieKind = (typeof COOKIE_KINDS)[number];

/** Browsers keep a cookie for at most 400 days (RFC 6265bis 5.5). This does not limit the session. */
export const MAX_COOKIE_AGE_S = 400 * 86_400;

/**
 * The `__Host-` prefix binds a cookie to this host over TLS: neither a sibling domain nor plain HTTP can set it (RFC
 * 6265bis 4.1.3.2).
 */
export function cookieName(kind: CookieKind, secure: boolean): string {
  return `${secure ? '__Host-' : ''}${kind}`;
}

/**
 * @param maxAge seconds. Token cookies last as long as the session may, so that an expired access token still leads
 *   to a refresh.
 */
export function setCookie(
  reply: FastifyReply,
  kind: CookieKind,
  value: string,
  secure: boolean,
  maxAge: number,
): void {
  write(reply, kind, value, secure, Math.min(maxAge, MAX_COOKIE_AGE_S));
}

/** Makes the browser delete these cookies. */
export function clearCookies(reply: FastifyReply, kinds: CookieKind[], secure: boolean): void {
  for (const kind of kinds) write(reply, kind, '', secure, 0);
}

function write(reply: FastifyReply, kind: CookieKind, value: string, secure: boolean, maxAge: number): void {
  const name = cookieName(kind, secure);
  const cookie = stringifySetCookie({
    name,
    value,
    httpOnly: true,
    secure,
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
export function readCookies(header: string | undefined, secure: boolean): Record<CookieKind, string[]> {
  const found: Record<CookieKind, string[]> = { access: [], refresh: [], device: [] };
  if (!header) return found;
  for (const pair of header.split(';')) {
    const text = pair.startsWith(' ') ? pair.slice(1) : pair;
    const equals = text.indexOf('=');
    const kind = COOKIE_KINDS.find(
      (candidate) => text.slice(0, Math.max(equals, 0)) === cookieName(candidate, secure),
    );
    if (kind) found[kind].push(text.slice(equals + 1));
  }
  return found;
}
