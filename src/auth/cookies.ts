import { stringifySetCookie } from 'cookie';
import type { FastifyReply } from 'fastify';

export const COOKIE_KINDS = ['access', 'refresh', 'device'] as const;
export type CookieKind = (typeof COOKIE_KINDS)[number];

/** 400 days is the most that browsers keep a cookie (RFC 6265bis 5.5). It is not what ends a session. */
export const LONGEST_COOKIE_S = 400 * 86_400;

/** `__Host-` binds a cookie to this very host over TLS: no sibling domain and no plain HTTP can plant one (RFC 6265bis 4.1.3.2). */
export function cookieName(kind: CookieKind, secure: boolean): string {
  return `${secure ? '__Host-' : ''}${kind}`;
}

/** @param maxAge seconds; of the tokens as long as their session may live, so that an expired access token still says "refresh" */
export function setCookie(
  reply: FastifyReply,
  kind: CookieKind,
  value: string,
  secure: boolean,
  maxAge: number,
): void {
  write(reply, kind, value, secure, Math.min(maxAge, LONGEST_COOKIE_S));
}

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
 * Every value that a `Cookie` header has for each of our names. The header is read as it stands:
 * names are compared exactly and values are not decoded, so that no spelling of another cookie can
 * pass for ours.
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
