import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import { Settings } from '../../platform/settings/settings.js';
import { CookieRoute } from './answers-with-cookies.decorator.js';
import './credentials.js';
import { OwnOrigins } from './own-origins.js';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses unsafe requests that another site made a browser send. The browser attaches its cookies to them, and a
 * forged login would log the victim into an attacker's account. Two kinds of requests are exempt (OWASP CSRF cheat
 * sheet, Fetch Metadata):
 * - A request that authenticates by `Authorization` or `X-API-Key`: no site can make a browser send these headers.
 * - A request from `TRUSTED_ORIGINS` that neither carries nor asks for a cookie.
 */
@Injectable()
export class CrossSiteGuard implements CanActivate {
  private readonly asksForCookies = metadataReader(CookieRoute);
  private readonly ownOrigins: OwnOrigins;

  constructor(private readonly settings: Settings) {
    this.ownOrigins = new OwnOrigins(settings);
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (!SAFE_METHODS.has(request.method))
      this.requireOwnSite(request, this.asksForCookies(context)?.(bodyOf(request)));
    return true;
  }

  /**
   * For requests that change something, and for those that open a WebSocket: a browser opens it for any site, with the
   * cookies of this one (RFC 6455 10.2).
   *
   * @throws Problem `request.cross_site`
   */
  requireOwnSite(request: FastifyRequest, asksForCookies = false): void {
    const { transport, apiKey, carriesCookies } = request.credentials;
    if (transport === 'bearer' || apiKey !== null || this.isFromHere(request)) return;
    if (!carriesCookies && !asksForCookies && this.isTrusted(request.headers.origin)) return;
    throw new Problem('request.cross_site');
  }

  /** Browsers send at least one of the two headers. A request with neither does not come from a browser. */
  private isFromHere(request: FastifyRequest): boolean {
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined) return site === 'same-origin' || site === 'none';
    const { origin } = request.headers;
    return origin === undefined || this.isTrusted(origin) || this.ownOrigins.includes(origin, request);
  }

  private isTrusted(origin: string | undefined): boolean {
    return origin !== undefined && this.settings.trustedOrigins.includes(origin);
  }
}

/** The body before its validation. */
export function bodyOf({ body }: FastifyRequest): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
