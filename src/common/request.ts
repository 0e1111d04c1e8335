import type { Role } from './roles.js';

/** Who calls, as far as the access token alone says. */
export interface Principal {
  userId: string;
  sessionId: string;
  /** The `jti`. */
  tokenId: string;
  /** Of the session's keys, that it was given out under; part of the `jti`. */
  edition: number;
  roles: readonly Role[];
  /** Milliseconds since the epoch, as the two below. */
  issuedAt: number;
  expiresAt: number;
}

/** Where on earth, as the edge or a database of addresses says; never what a client says of itself. */
export interface Place {
  /** ISO 3166-1 alpha-2, officially assigned: a code that names no country, such as `T1` for Tor, is an unknown place. */
  country: string;
  /** Degrees; known to databases of cities only. */
  at?: { latitude: number; longitude: number };
}

/** Where a request came from, as it is kept on sessions and in the audit log. */
export interface Origin {
  ip: string | null;
  userAgent: string | null;
  place: Place | null;
  requestId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the client, behind all proxies of `TRUSTED_PROXIES`; null when the connection is gone. Fastify's `ip` is as a proxy wrote it. */
    readonly clientAddress: string | null;
  }
}

interface HttpRequest {
  id: unknown;
  clientAddress: string | null;
  place?: Place | null;
  headers: Record<string, string | string[] | undefined>;
}

const MOST_USER_AGENT = 512;

export function originOf(request: HttpRequest): Origin {
  const userAgent = request.headers['user-agent'];
  return {
    ip: request.clientAddress,
    userAgent: typeof userAgent === 'string' ? printable(userAgent).slice(0, MOST_USER_AGENT) : null,
    place: request.place ?? null,
    requestId: String(request.id),
  };
}

/** Header bytes arrive as Latin-1; what could forge a log line or upset Postgres is dropped. */
function printable(header: string): string {
  return header.replace(/\p{Cc}/gu, '');
}
