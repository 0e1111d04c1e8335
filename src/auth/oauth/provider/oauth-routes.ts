import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { registerFormRoutes } from '../../../platform/http/form-routes.js';
import { ThrottleGuard } from '../../../platform/throttling/throttle.guard.js';
import { Settings } from '../../../platform/settings/settings.js';
import { AppTokens } from '../check/app-token.js';
import { OAuthProvider } from './oauth-provider.js';
import { wrapAccessToken } from './presented-access-token.js';
import { OAuthResources } from './resources.js';

const PREFIX = '/oauth';
/** The address of the metadata for an issuer with a path, as clients of OAuth form it (RFC 8414 3.1). */
const METADATA = `/.well-known/oauth-authorization-server${PREFIX}`;
/** The endpoints of the library that are on, with their methods. Browsers ask with OPTIONS before they call some. */
const ENDPOINTS: Record<string, HTTPMethods[]> = {
  '/.well-known/openid-configuration': ['GET', 'OPTIONS'],
  '/authorize': ['GET', 'POST'],
  '/authorize/:uid': ['GET'],
  '/introspect': ['POST', 'OPTIONS'],
  '/jwks': ['GET', 'OPTIONS'],
  '/par': ['POST', 'OPTIONS'],
  '/revoke': ['POST', 'OPTIONS'],
  '/token': ['POST', 'OPTIONS'],
  '/userinfo': ['GET', 'POST', 'OPTIONS'],
};
/** Tokens are presented here. */
const TAKES_TOKENS = new Set([`${PREFIX}/introspect`, `${PREFIX}/revoke`]);

/**
 * Mounts the provider library at `/oauth`. It reads forms and writes its own answers, so it has a part of Fastify without
 * our parsers. The global guards are not in front of it: each of its endpoints has the checks of its own standard.
 */
@Injectable()
export class OAuthRoutes implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly provider: OAuthProvider,
    private readonly tokens: AppTokens,
    private readonly resources: OAuthResources,
    private readonly throttle: ThrottleGuard,
    private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    if (!this.provider.isOn) return;
    registerFormRoutes(this.host.httpAdapter.getInstance<FastifyInstance>(), (scope) => {
      const handler = (request: FastifyRequest, reply: FastifyReply) => this.handle(request, reply);
      for (const [path, method] of Object.entries(ENDPOINTS))
        scope.route({ method, url: PREFIX + path, handler });
      scope.get(METADATA, handler);
    });
  }

  private async handle(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (this.settings.rateLimits === 'on') await this.throttle.admit('oauth', ['address'], request);
    const [path = '', query] = request.raw.url!.split('?', 2);
    const form = typeof request.body === 'string' ? request.body : '';
    const body = TAKES_TOKENS.has(path) ? wrapAccessToken(form, this.tokens) : form;
    const inner = path === METADATA ? '/.well-known/openid-configuration' : path.slice(PREFIX.length);
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    const raw = this.forLibrary(request, query === undefined ? inner : `${inner}?${query}`, body);
    await this.provider.current().callback()(raw, reply.raw);
  }

  /** The request as the library shall see it: with its own path, and at the address of `APP_URL`. */
  private forLibrary(request: FastifyRequest, url: string, body: string): IncomingMessage {
    const { protocol, host } = new URL(this.resources.home);
    const { headers, socket, method, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders } =
      request.raw;
    return Object.assign(Readable.from(body === '' ? [] : [Buffer.from(body)]), {
      method,
      url,
      originalUrl: PREFIX + url,
      headers: {
        ...headers,
        ...(headers['content-length'] !== undefined && {
          'content-length': String(Buffer.byteLength(body)),
        }),
        'x-forwarded-proto': protocol.slice(0, -1),
        'x-forwarded-host': host,
      },
      rawHeaders,
      socket,
      httpVersion,
      httpVersionMajor,
      httpVersionMinor,
    }) as unknown as IncomingMessage;
  }
}
