import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { Problem } from '../../platform/api/problem.js';
import { cookieNamesOf, type CookieNames, type CookieSettings } from '../../platform/http/cookie-names.js';
import type { KeyProof } from '../../sessions/binding/session-binding.js';
import type { Transport } from '../../sessions/session.entity.js';
import { readCookies } from './cookies.js';

/** The credentials of a request. The place of the token determines the transport of its session. */
export interface Credentials {
  transport: Transport | null;
  accessToken: string | null;
  /** From the cookie. A bearer client sends its refresh token in the body. */
  refreshToken: string | null;
  deviceToken: string | null;
  /** From the cookie that a browser gets for proofs of its device key, not yet verified. */
  boundCookie: string | null;
  /** Set by `@ProvenCredentials()`. */
  keyProof: KeyProof | null;
  /** From `X-API-Key`, not yet parsed. */
  apiKey: string | null;
  /** Whether the request carries any of our cookies, including the device cookie. */
  carriesCookies: boolean;
}

const PARSED = Symbol('credentials');

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Parsed once, at the first access.
     * @throws Problem as {@link readCredentials}
     */
    readonly credentials: Credentials;
    [PARSED]: Credentials | undefined;
  }
}

/** Gives every request its `credentials`. */
export function decorateCredentials(fastify: FastifyInstance, settings: CookieSettings): void {
  const names = cookieNamesOf(settings);
  fastify.decorateRequest(PARSED, undefined);
  fastify.decorateRequest('credentials', {
    getter(this: FastifyRequest) {
      return (this[PARSED] ??= readCredentials(this, names));
    },
  });
}

/** The credentials of this request, for a controller method. */
export const RequestCredentials = createParamDecorator(
  (_: unknown, context: ExecutionContext): Credentials =>
    context.switchToHttp().getRequest<FastifyRequest>().credentials,
);

interface CredentialHeaders {
  raw: IncomingMessage;
  headers: Record<string, string | string[] | undefined>;
}

const BEARER = /^Bearer +\S/i;

/**
 * Reads the one credential of a request, only from `Authorization: Bearer`, from our cookies or from `X-API-Key`
 * (RFC 6750 2, RFC 9700 4.3.2).
 * @throws Problem `auth.ambiguous_credentials` if there is more than one
 */
export function readCredentials({ raw, headers }: CredentialHeaders, names: CookieNames): Credentials {
  const bearer = bearerOf(headers.authorization, raw);
  const { access, refresh, device, bound } = readCookies(headers.cookie as string | undefined, names);
  if (access.length > 1 || refresh.length > 1 || device.length > 1 || bound.length > 1)
    throw new Problem('auth.ambiguous_credentials');
  const accessCookie = access[0] || null;
  const refreshCookie = refresh[0] || null;
  const byCookie = accessCookie !== null || refreshCookie !== null;
  const apiKey = apiKeyOf(headers['x-api-key']);
  if (Number(bearer !== null) + Number(byCookie) + Number(apiKey !== null) > 1)
    throw new Problem('auth.ambiguous_credentials');
  const deviceHeader = headers['x-device-token'];
  return {
    transport: bearer !== null ? 'bearer' : byCookie ? 'cookie' : null,
    accessToken: bearer ?? accessCookie,
    refreshToken: refreshCookie,
    deviceToken: device[0] || (typeof deviceHeader === 'string' && deviceHeader) || null,
    boundCookie: bound[0] || null,
    keyProof: null,
    apiKey,
    carriesCookies: access.length + refresh.length + device.length + bound.length > 0,
  };
}

/**
 * Node keeps the first of several `Authorization` headers and drops the others, so this counts them in the raw
 * headers.
 */
function bearerOf(authorization: string | string[] | undefined, raw: IncomingMessage): string | null {
  if (typeof authorization !== 'string') return null;
  let count = 0;
  for (let index = 0; index < raw.rawHeaders.length; index += 2) {
    if (raw.rawHeaders[index]!.length === 13 && raw.rawHeaders[index]!.toLowerCase() === 'authorization')
      count += 1;
  }
  if (count > 1) throw new Problem('auth.ambiguous_credentials');
  return BEARER.test(authorization) ? authorization.slice('Bearer '.length).trimStart() : null;
}

/** Node joins the values of several `X-API-Key` headers with commas, which no key contains. */
function apiKeyOf(header: string | string[] | undefined): string | null {
  if (typeof header !== 'string' || header === '') return null;
  if (header.includes(',')) throw new Problem('auth.ambiguous_credentials');
  return header;
}
