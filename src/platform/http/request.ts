import type { Role } from '../../roles.js';
import type { Claims } from '../claims/declared-claims.js';

/** The caller, from the access token alone. */
export interface Principal {
  userId: string;
  sessionId: string;
  /** The `jti`. */
  tokenId: string;
  /** Version of the session's keys when the token was issued; part of the `jti`. */
  keyVersion: number;
  roles: readonly Role[];
  /** The claims that `src/claims.ts` declares. */
  claims: Claims;
  /** Milliseconds since the epoch, like `expiresAt`. */
  issuedAt: number;
  expiresAt: number;
  /** The version of the device key that this request proves by its bound cookie; absent without that cookie. */
  provenKey: number | undefined;
  /** Whether the token is worth nothing without that proof. */
  needsKey: boolean;
}

/**
 * The caller of a route that both people and machines may call: a user by a session, by an API key, or by an app to
 * which the user has given access.
 */
export interface Caller {
  kind: 'session' | 'api_key' | 'app';
  /** The id of the session, of the key, or of the grant. */
  id: string;
  userId: string;
  /** The roles of the user. An API key and an app have none: their scopes say what they may do. */
  roles: readonly Role[];
}

/** A location from the edge or from a geolocation database, never from the client. */
export interface GeoLocation {
  /**
   * ISO 3166-1 alpha-2, officially assigned. A code that names no country, such as `T1` for Tor, counts as unknown.
   */
  country: string;
  /** Degrees; only city databases have them. */
  at?: { latitude: number; longitude: number };
}

/** The request context, as stored with sessions and in the audit log. */
export interface RequestContext {
  ip: string | null;
  userAgent: string | null;
  place: GeoLocation | null;
  requestId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The address of the client behind all proxies of `TRUSTED_PROXIES`; null if the connection is closed. Fastify's
     * `ip` is the unparsed text of a proxy.
     */
    readonly clientAddress: string | null;
    /** Set by the access guard: the API key or the app by which the request was admitted. */
    delegate?: Caller;
  }
}

interface HttpRequest {
  id: unknown;
  clientAddress: string | null;
  place?: GeoLocation | null;
  headers: Record<string, string | string[] | undefined>;
}

const MAX_USER_AGENT = 512;

/** The request context of a request. */
export function requestContextOf(request: HttpRequest): RequestContext {
  const userAgent = request.headers['user-agent'];
  return {
    ip: request.clientAddress,
    userAgent: typeof userAgent === 'string' ? printable(userAgent).slice(0, MAX_USER_AGENT) : null,
    place: request.place ?? null,
    requestId: String(request.id),
  };
}

/**
 * Header bytes arrive as Latin-1. Control characters are dropped: they could forge a log line, and PostgreSQL rejects
 * some.
 */
function printable(header: string): string {
  return header.replace(/\p{Cc}/gu, '');
}
